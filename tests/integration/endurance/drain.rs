//! The end that a system asks for, in the middle of everything: many have sent what they want, images wait to be made,
//! uploads are under way. (`shutdown.rs` has those who go on asking.)

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::{Length, cold_target, put_photographs, report};
use crate::client::Client;
use crate::pictures::noise;
use crate::server::{Answer, Server};
use crate::upload_form::{BOUNDARY, Told, form_of, media_type, post};

const N_PHOTOGRAPHS: usize = 4;
/// Connections of each kind, in each round.
const N_COLD: usize = 40;
const N_PIPELINED: usize = 8;
const N_UPLOADS: usize = 8;
const N_BEGUN: usize = 8;
/// Requests in a row on one connection.
const PIPELINE: usize = 3;
/// When the rest of an upload comes that was begun before the stop.
const LATER: Duration = Duration::from_millis(200);
/// What a stop may take.
const END: Duration = Duration::from_secs(30);

/// A connection, and all that it has sent before the stop.
struct Sent {
    what: &'static str,
    client: Client,
    n_requests: usize,
    /// What is sent after it.
    rest: Vec<u8>,
    /// What is uploaded.
    content: Vec<u8>,
}

impl Sent {
    fn new(server: &Server, what: &'static str, requests: &[u8], n_requests: usize) -> Self {
        let mut client = Client::new(server);
        client.write(requests).unwrap();
        Self { what, client, n_requests, rest: Vec::new(), content: Vec::new() }
    }

    /// Sends the rest, if there is one, and takes the answers: one for each request, or fewer where the last says that
    /// the connection ends.
    fn receive(mut self) -> Answered {
        if !self.rest.is_empty() {
            thread::park_timeout(LATER);
            self.client.write(&self.rest).unwrap_or_else(|error| panic!("{}: {error}", self.what));
        }
        let mut answers: Vec<Answer> = Vec::new();
        while answers.len() < self.n_requests {
            match self.client.receive() {
                Ok(Some(answer)) => answers.push(answer),
                other => {
                    let last = answers.last().map(|answer| answer.header("Connection"));
                    assert_eq!(last, Some(Some("close")), "{}: {other:?} after {answers:?}", self.what);
                    break;
                }
            }
        }
        Answered { what: self.what, answers, content: self.content }
    }
}

struct Answered {
    what: &'static str,
    answers: Vec<Answer>,
    content: Vec<u8>,
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// All that is asked of one server. Images are new to it and to those before it.
fn send_all(server: &Server, round: usize) -> Vec<Sent> {
    let per_round = N_COLD + N_PIPELINED * PIPELINE;
    let mut numbers = round * per_round..(round + 1) * per_round;
    let mut cold = || get(&cold_target(numbers.next().unwrap(), N_PHOTOGRAPHS, 200));
    let mut sent = Vec::new();
    for number in 0..N_UPLOADS.max(N_BEGUN) {
        let content = noise(300, 200 + number as u16);
        let request = post("/upload", &media_type(BOUNDARY), &form_of(&content));
        if number < N_UPLOADS {
            sent.push(Sent { content: content.clone(), ..Sent::new(server, "a whole upload", &request, 1) });
        }
        if number < N_BEGUN {
            let (begun, rest) = request.split_at(request.len() * (number + 1) / (N_BEGUN + 1));
            sent.push(Sent { content, rest: rest.to_vec(), ..Sent::new(server, "half an upload", begun, 1) });
        }
    }
    sent.extend((0..N_PIPELINED).map(|_| {
        let requests: Vec<u8> = (0..PIPELINE).flat_map(|_| cold()).collect();
        Sent::new(server, "images in a row", &requests, PIPELINE)
    }));
    sent.extend((0..N_COLD).map(|_| Sent::new(server, "an image", &cold(), 1)));
    sent
}

/// Stops the server, and has everybody read meanwhile; gives the answers and how long the stop took.
fn stop(server: &mut Server, sent: Vec<Sent>) -> (Vec<Answered>, Duration) {
    let start = Barrier::new(sent.len() + 1);
    let begun = Instant::now();
    let answered = thread::scope(|scope| {
        let receive = |sent: Sent| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                sent.receive()
            })
        };
        let readers: Vec<_> = sent.into_iter().map(receive).collect();
        server.terminate();
        start.wait();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let status = server.wait(END.saturating_sub(begun.elapsed())).expect("the server still runs");
    assert_eq!(status.code(), Some(0), "{}", server.log_of_events());
    (answered, begun.elapsed())
}

/// Images are there or refused for want of time; uploads that were taken are stored.
fn check(server: &Server, answered: &Answered) -> bool {
    let what = answered.what;
    assert!(!answered.answers.is_empty(), "{what}: no answer");
    for answer in &answered.answers {
        assert!([200, 503].contains(&answer.status), "{what}: {answer:?}");
        if !answered.content.is_empty() {
            let told = Told::of(answer);
            assert_eq!(told.status, 200, "{what}: {told:?}");
            assert!(std::fs::read(server.images().join(&told.path)).unwrap() == answered.content, "{what}: {told:?}");
        }
    }
    answered.answers.iter().all(|answer| answer.status == 200)
}

#[test]
fn whatever_was_sent_before_the_stop_is_answered() {
    let length = Length::of(Duration::from_secs(3));
    let n_rounds = length.bound(20, 4);
    let first = Server::start("");
    put_photographs(&first.images(), N_PHOTOGRAPHS);
    let (mut stops, mut n_answers, mut n_unanswered, mut n_refused) = (Histogram::default(), 0, 0, 0);
    for round in 0..n_rounds {
        let mut server = first.again("http: {access-log: No}\n");
        let sent = send_all(&server, round);
        // From nothing begun to much of it done.
        thread::park_timeout(Duration::from_millis((round * 37 % 101) as u64));
        let n_sent: usize = sent.iter().map(|sent| sent.n_requests).sum();
        let (answered, took) = stop(&mut server, sent);
        stops.add(took);
        n_refused += answered.iter().filter(|answered| !check(&server, answered)).count();
        let n: usize = answered.iter().map(|answered| answered.answers.len()).sum();
        n_answers += n;
        n_unanswered += n_sent - n;
        let log = server.log();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{}", server.log_of_events());
    }
    report(
        "drain",
        format_args!(
            "{n_rounds} stops: {n_answers} requests answered, {n_refused} connections refused, {n_unanswered} requests \
             told to come again, 0 cut; from signal to exit: {stops}"
        ),
    );
}
