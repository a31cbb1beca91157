//! Everything at once and for long: images of the corpus in random ways, uploads, nonsense, and clients who leave in the
//! middle. Nothing of it may fail the server, grow, or be worth an error in its log.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::histogram::Histogram;
use super::requests::{ANY_PICTURE, Dice, Request, bad_framing, bad_target, good_image, good_target, upload};
use super::trend::Trend;
use super::{Length, assert_ends_well, report, start};
use crate::client::{Client, Until};
use crate::server::{Answer, Server};
use crate::upload_form::Told;

/// The first number of all dice; printed, so that a run can be repeated (but for the names that the server gives).
const SEED: &str = "PIXLSERV_ENDURANCE_SEED";
const N_CLIENTS: usize = 4;
/// Uploads that each client remembers, and connections that it leaves in the middle of a head.
const N_REMEMBERED: usize = 20;
pub(super) const MAX_UPLOAD: usize = 1 << 20;
/// What the configuration allows for pixels, sources and answers, and as much again for all else.
const MAX_KB: u64 = (2 * (128 + 32 + 16)) << 10;

const CONFIGURATION: &str = "
allow-originals: Yes
upload-max-file-size: 1048576
work-memory: 134217728
cache: {memory: 16777216, limit: 67108864}
http: {access-log: No}
transformations:
    - name: marked
      parameters: w_120,h_90,c_a
      watermark: {source: photo.png, gravity: se, scale: 0.3, opacity: 70}
      text: {content: 'a text', gravity: c, color: '#f80', size: 20, stroke: {width: 2}}
";

/// Puts pictures of all kinds there and gives their names: of the corpus, in a short run small ones of it, else what the
/// server has.
fn put_pictures(images: &Path, length: Length) -> Vec<String> {
    let mut names = vec!["photo.png".to_owned(), "photo.jpg".to_owned()];
    std::fs::write(images.join("noise.jpg"), crate::pictures::noise(1200, 900)).unwrap();
    names.push("noise.jpg".to_owned());
    let Some(corpus) = crate::corpus::folder() else { return names };
    let index = std::fs::read_to_string(corpus.join("INDEX.csv")).unwrap();
    let files = index.lines().skip(1).filter_map(|line| line.split(',').next());
    for file in files.step_by(length.bound(1, 9)) {
        let content = std::fs::read(corpus.join(file));
        let Ok(content) = content else { continue };
        // Names that would have to be encoded, or that look like a scale, are the business of others.
        let is_plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
        if is_plain && (length.is_strict || content.len() < 50_000) {
            std::fs::create_dir_all(images.join(file).parent().unwrap()).unwrap();
            std::fs::write(images.join(file), content).unwrap();
            names.push(file.to_owned());
        }
    }
    names
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    times: Histogram,
    statuses: BTreeMap<u16, u64>,
    /// Connections that ended instead of an answer, where they may.
    n_closed: u64,
    n_left: u64,
}

struct Visitor<'a> {
    server: &'a Server,
    client: Client,
    dice: Dice,
    names: &'a [String],
    uploaded: VecDeque<String>,
    /// Left in the middle of a head.
    half: VecDeque<TcpStream>,
    seen: Seen,
}

impl Visitor<'_> {
    fn name(&mut self) -> String {
        let number = self.dice.below(self.names.len() + self.uploaded.len());
        self.names.get(number).or_else(|| self.uploaded.get(number - self.names.len())).unwrap().clone()
    }

    fn visit(&mut self) {
        let name = self.name();
        match self.dice.below(100) {
            0..58 => {
                let request = good_image(&mut self.dice, &name);
                self.ask(&request);
            }
            58..68 => {
                let request = bad_target(&mut self.dice, &name);
                self.ask(&request);
            }
            68..72 => {
                let request = bad_framing(&mut self.dice);
                self.ask(&request);
            }
            72..82 => self.upload(&name),
            82..87 => self.leave(&name),
            87..90 => self.stop_half_way(&name),
            90..96 => self.ask_in_a_row(),
            _ => self.ask_shortly(&name),
        }
    }

    /// One request on the connection that lives, and its answer.
    fn ask(&mut self, request: &Request) -> Option<Answer> {
        let start = Instant::now();
        let sent = self.client.write(&request.bytes);
        let answer = match (sent, self.client.receive()) {
            (_, Ok(Some(answer))) => answer,
            (sent, received) => {
                // A reset may overtake the answer to what was still on its way.
                let is_cut = |error: &std::io::Error| {
                    matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
                    )
                };
                let may = request.may_close && (received.as_ref().is_err_and(is_cut) || sent.is_err());
                assert!(may, "{}: {sent:?}, {received:?}: {}", request.what, shown(&request.bytes));
                self.seen.n_closed += 1;
                self.client = Client::new(self.server);
                return None;
            }
        };
        self.seen.times.add(start.elapsed());
        self.check(request, &answer);
        if request.may_close || answer.header("Connection") == Some("close") {
            self.client = Client::new(self.server);
        }
        Some(answer)
    }

    fn check(&mut self, request: &Request, answer: &Answer) {
        let is_allowed = answer.status == 503 || request.allowed.contains(&answer.status);
        assert!(is_allowed, "{}: {answer:?} to {}", request.what, shown(&request.bytes));
        *self.seen.statuses.entry(answer.status).or_default() += 1;
    }

    fn upload(&mut self, name: &str) {
        let file = std::fs::read(self.server.images().join(name)).unwrap();
        let request = upload(&mut self.dice, &file);
        let answer = self.ask(&request);
        if let Some(answer) = answer.filter(|answer| answer.status == 200) {
            self.uploaded.push_back(Told::of(&answer).path);
        }
        if self.uploaded.len() > N_REMEMBERED {
            let path = self.uploaded.pop_front().unwrap();
            std::fs::remove_file(self.server.images().join(path)).unwrap();
        }
    }

    /// Asks, and is gone before the answer, or in the middle of an upload.
    fn leave(&mut self, name: &str) {
        let is_upload = self.dice.is_one_in(2);
        let mut bytes = good_image(&mut self.dice, name).bytes;
        if is_upload {
            bytes = upload(&mut self.dice, &crate::pictures::noise(300, 300)).bytes;
            bytes.truncate(1 + self.dice.below(bytes.len()));
        }
        let stream = self.server.connect();
        if self.dice.is_one_in(2) {
            // Closing resets the connection.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
        // May be refused before it is sent.
        let _ = Client::over(stream).write(&bytes);
        self.seen.n_left += 1;
    }

    fn stop_half_way(&mut self, name: &str) {
        use std::io::Write as _;
        let bytes = good_image(&mut self.dice, name).bytes;
        let mut stream = self.server.connect();
        stream.write_all(&bytes[..self.dice.below(bytes.len() - 3)]).unwrap();
        self.half.push_back(stream);
        if self.half.len() > N_REMEMBERED {
            self.half.pop_front();
        }
        self.seen.n_left += 1;
    }

    fn ask_in_a_row(&mut self) {
        let requests: Vec<Request> = (0..2 + self.dice.below(5))
            .map(|_| {
                let name = self.name();
                good_image(&mut self.dice, &name)
            })
            .collect();
        let bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes.clone()).collect();
        self.client.write(&bytes).unwrap();
        for request in &requests {
            let answer = self.client.receive().unwrap();
            self.check(request, &answer.unwrap_or_else(|| panic!("{}: closed", shown(&request.bytes))));
        }
    }

    /// On a connection of its own.
    fn ask_shortly(&mut self, name: &str) {
        let target = good_target(&mut self.dice, name);
        let health = (self.dice.one_of(&["/", "/health", "/ready"]).to_owned(), &[200][..]);
        let (target, allowed) = if self.dice.is_one_in(2) { (target, ANY_PICTURE) } else { health };
        let answer = self.server.request(self.dice.one_of(&["GET", "HEAD"]), &target, &[]);
        let is_allowed = allowed.contains(&answer.status) || answer.status == 503;
        assert!(is_allowed, "{target}: {answer:?}");
        *self.seen.statuses.entry(answer.status).or_default() += 1;
    }
}

fn shown(request: &[u8]) -> String {
    String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned()
}

fn visit_all(server: &Server, names: &[String], (seed, number): (u64, u64), time: Duration) -> Seen {
    let (client, dice, end) = (Client::new(server), Dice::new(seed, number), Instant::now() + time);
    let (uploaded, half) = (VecDeque::new(), VecDeque::new());
    let mut visitor = Visitor { server, client, dice, names, uploaded, half, seen: Seen::default() };
    while Instant::now() < end {
        visitor.visit();
    }
    visitor.seen
}

#[test]
fn everything_at_once_leaves_no_trace() {
    let length = Length::of(Duration::from_secs(5));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var(SEED).map_or_else(|_| now(), |text| text.parse().unwrap());
    let server = start(CONFIGURATION);
    let names = put_pictures(&server.images(), length);
    report("soak", format_args!("{} pictures, {SEED}={seed}", names.len()));
    let is_over = AtomicBool::new(false);
    let (seen, trend) = thread::scope(|scope| {
        let trend = scope.spawn(|| Trend::watch(&server, &is_over));
        let until = Until(&is_over);
        let (server, names) = (&server, &names);
        let visit = |number| scope.spawn(move || visit_all(server, names, (seed, number as u64), length.time));
        let visitors: Vec<_> = (0..N_CLIENTS).map(visit).collect();
        let seen: Vec<Seen> = visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect();
        drop(until);
        (seen, trend.join().unwrap())
    });
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    for (status, n) in seen.iter().flat_map(|seen| &seen.statuses) {
        *statuses.entry(*status).or_default() += n;
    }
    let [n_closed, n_left] =
        [|seen: &Seen| seen.n_closed, |seen: &Seen| seen.n_left].map(|n| seen.iter().map(n).sum::<u64>());
    report(
        "soak",
        format_args!(
            "{:?}: {} answers {statuses:?}, {n_closed} closed early, {n_left} clients left; client 1 {}; {trend}, peak {} MB, \
             files {:+.1} over the second half",
            length.time,
            statuses.values().sum::<u64>(),
            seen[0].times,
            trend.peak_kb() / 1024,
            trend.growth_files(),
        ),
    );
    assert!(trend.peak_kb() <= MAX_KB, "{} KB", trend.peak_kb());
    if length.is_strict {
        trend.assert_flat(1024.0);
        assert!(trend.growth_files() < 8.0, "open files grow by {}", trend.growth_files());
    }
    assert_ends_well(server);
}
