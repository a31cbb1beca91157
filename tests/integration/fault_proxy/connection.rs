//! One connection through the proxy.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::fault::{OwnAnswer, Shape, Then, middle};
use super::wire::{Body, Framing, Head, write_end, write_piece};
use super::{Fault, Shared};

const PIECE_BYTES: usize = 64 << 10;
/// How long an answer that came before the end of its request waits for that.
const OVERTAKEN: Duration = Duration::from_millis(500);
/// How long a client may take to see that its connection ends.
const PARTING: Duration = Duration::from_secs(2);
/// Slow bodies come in pieces of about so much time.
const SLOW_PIECE: Duration = Duration::from_millis(50);

struct Connection<'a> {
    shared: &'a Shared,
    id: u64,
    client: BufReader<TcpStream>,
    /// The same, for writing.
    to_client: TcpStream,
    upstream: Option<Upstream>,
}

struct Upstream {
    from: BufReader<TcpStream>,
    to: TcpStream,
}

/// A request on its way.
struct Passing<'a> {
    number: u64,
    head: &'a Head,
    fault: &'a Fault,
}

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Another, on the same connection.
    Next,
    /// The connection ends.
    Part,
    /// The connection is reset.
    Reset,
}

/// Takes requests until one end leaves, or a fault ends it.
pub(super) fn serve(shared: &Shared, id: u64, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let to_client = client.try_clone()?;
    let mut connection = Connection { shared, id, client: BufReader::new(client), to_client, upstream: None };
    while let Some(head) = Head::read(&mut connection.client)? {
        let (number, fault) = shared.begin(&head);
        match connection.handle(&Passing { number, head: &head, fault: &fault }) {
            Ok(After::Next) if !head.is_last() => {}
            Ok(After::Reset) => return connection.reset(),
            after => {
                connection.part();
                return after.map(drop);
            }
        }
    }
    Ok(())
}

impl Connection<'_> {
    fn handle(&mut self, request: &Passing<'_>) -> io::Result<After> {
        match request.fault {
            Fault::Refuse => Ok(After::Part),
            Fault::Reset => Ok(After::Reset),
            Fault::Stall => {
                self.take(request)?;
                // Until the client leaves.
                io::copy(&mut self.client, &mut io::sink())?;
                Ok(After::Part)
            }
            Fault::Raw(bytes) => {
                self.take(request)?;
                self.to_client.write_all(bytes)?;
                Ok(After::Part)
            }
            Fault::Status(..) | Fault::StatusWith(..) | Fault::Redirect(_) | Fault::Skew(_) => {
                // A client that asks first gets its answer first, and need not send its body.
                let is_asked = request.head.header("Expect").is_some();
                if !is_asked {
                    self.take(request)?;
                }
                self.answer(request)?;
                Ok(if is_asked { After::Part } else { After::Next })
            }
            _ => self.pass(request),
        }
    }

    /// Reads all of a request.
    fn take(&mut self, request: &Passing<'_>) -> io::Result<()> {
        if request.head.header("Expect").is_some() {
            self.to_client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        io::copy(&mut Body::new(&mut self.client, request.head.request_framing()?), &mut io::sink()).map(drop)
    }

    /// Gives the answer that the fault is.
    fn answer(&mut self, request: &Passing<'_>) -> io::Result<()> {
        let method = request.head.word(0);
        let Some(answer) = OwnAnswer::of(request.fault, request.head) else { return Ok(()) };
        self.shared.note(request.number, |seen| {
            seen.status = Some(answer.status);
            seen.response_bytes = if method == "HEAD" { 0 } else { answer.body.len() as u64 };
        });
        self.to_client.write_all(&answer.bytes(method))
    }

    /// Passes a request on, and its answer back. They may overtake each other.
    fn pass(&mut self, request: &Passing<'_>) -> io::Result<After> {
        let mut upstream = self.upstream()?;
        upstream.to.write_all(&request.head.raw)?;
        let framing = request.head.request_framing()?;
        if framing == Framing::None {
            let flow = self.pass_back(request, &mut upstream.from);
            self.upstream = Some(upstream);
            return flow;
        }
        let client = self.client.get_ref().try_clone()?;
        let mut back = Connection {
            shared: self.shared,
            id: self.id,
            // Only for the end of a stalled answer: what the client sends is the other's to read.
            client: BufReader::new(client.try_clone()?),
            to_client: self.to_client.try_clone()?,
            upstream: None,
        };
        let (sender, is_done) = channel();
        let from = &mut self.client;
        let (shared, to) = (self.shared, &mut upstream.to);
        let (flow, is_whole) = std::thread::scope(|scope| {
            scope.spawn(move || {
                let sent = send_body(shared, request, from, to);
                if sent.as_ref().is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
                    // Without the rest, the storage can only give up.
                    let _ = to.shutdown(Shutdown::Both);
                }
                let _ = sender.send(sent.is_ok());
            });
            let flow = back.pass_back(request, &mut upstream.from);
            let is_whole = flow.is_ok() && is_done.recv_timeout(OVERTAKEN).unwrap_or(false);
            if !is_whole {
                // The other reads no more.
                let _ = client.shutdown(Shutdown::Read);
            }
            (flow, is_whole)
        });
        self.upstream = Some(upstream);
        if is_whole { flow } else { flow.map(|after| if after == After::Reset { after } else { After::Part }) }
    }

    /// The connection to the storage: the one that is there, if it still is.
    fn upstream(&mut self) -> io::Result<Upstream> {
        if let Some(upstream) = self.upstream.take() {
            upstream.to.set_nonblocking(true)?;
            let is_open = matches!(upstream.to.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            upstream.to.set_nonblocking(false)?;
            if is_open && upstream.from.buffer().is_empty() {
                return Ok(upstream);
            }
        }
        let to = TcpStream::connect(self.shared.upstream)?;
        to.set_nodelay(true)?;
        self.shared.note_upstream(self.id, &to)?;
        Ok(Upstream { from: BufReader::new(to.try_clone()?), to })
    }

    fn pass_back(&mut self, request: &Passing<'_>, from: &mut BufReader<TcpStream>) -> io::Result<After> {
        let head = loop {
            let head = Head::read(from)?.ok_or(ErrorKind::UnexpectedEof)?;
            if head.status()? / 100 != 1 {
                break head;
            }
            self.to_client.write_all(&head.raw)?;
        };
        let framing = head.answer_framing(request.head.word(0))?;
        match request.fault {
            Fault::StatusAfter(..) | Fault::ResetAfter => {
                io::copy(&mut Body::new(from, framing), &mut io::sink())?;
                if let Fault::ResetAfter = request.fault {
                    return Ok(After::Reset);
                }
                self.answer(request)?;
                return Ok(After::Next);
            }
            Fault::Delay(time) if !self.shared.pause(*time) => return Ok(After::Part),
            _ => {}
        }
        let shape = Shape::new(request.fault, framing);
        self.shared.note(request.number, |seen| seen.status = head.status().ok());
        let raw = shape.declared.map_or_else(|| head.raw.clone(), |declared| head.reframed(declared));
        self.to_client.write_all(&raw)?;
        let flow = self.pass_body(request, &shape, framing, from)?;
        Ok(if framing == Framing::UntilClose || head.is_last() { After::Part } else { flow })
    }

    fn pass_body(
        &mut self,
        request: &Passing<'_>,
        shape: &Shape,
        framing: Framing,
        from: &mut BufReader<TcpStream>,
    ) -> io::Result<After> {
        let written = if shape.declared == Some(Framing::Chunked) { Framing::Chunked } else { framing };
        let mut piece = vec![0; shape.bytes_per_second.map_or(PIECE_BYTES, slow_piece)];
        let mut body = Body::new(from, framing);
        let mut position = 0;
        loop {
            let n_read = body.read(&mut piece)?;
            let n_kept = usize::try_from(shape.n_kept - position).unwrap_or(usize::MAX).min(n_read);
            flip(&mut piece[..n_read], position, shape.flipped);
            if n_kept > 0 {
                self.shared.note(request.number, |seen| seen.response_bytes += n_kept as u64);
                write_piece(&mut self.to_client, written, &piece[..n_kept])?;
            }
            position += n_kept as u64;
            let is_cut = position == shape.n_kept && shape.then != Then::Next;
            if n_read == 0 || is_cut {
                break;
            }
            if let Some(rate) = shape.bytes_per_second
                && !self.shared.pause(Duration::from_secs_f64(n_read as f64 / rate as f64))
            {
                return Ok(After::Part);
            }
        }
        match shape.then {
            Then::Next => write_end(&mut self.to_client, written, &body.trailer).map(|()| After::Next),
            Then::Close => Ok(After::Part),
            Then::Silence => {
                io::copy(&mut self.client, &mut io::sink())?;
                Ok(After::Part)
            }
            Then::More => loop {
                piece.fill(b'x');
                self.shared.note(request.number, |seen| seen.response_bytes += piece.len() as u64);
                write_piece(&mut self.to_client, written, &piece)?;
            },
        }
    }

    /// Has the close of the last copy, which is this one's, reset the connection.
    fn reset(self) -> io::Result<()> {
        self.shared.lock().open.remove(&self.id);
        set_socket_linger(&self.to_client, Some(Duration::ZERO)).map_err(io::Error::from)
    }

    /// Ends the connection so that the client gets all that was written: what it still sends is read, for a while.
    fn part(&mut self) {
        if self.to_client.shutdown(Shutdown::Write).is_ok() && self.to_client.set_read_timeout(Some(PARTING)).is_ok() {
            let _ = io::copy(&mut self.client, &mut io::sink());
        }
    }
}

/// Passes the body of a request on.
fn send_body(
    shared: &Shared,
    request: &Passing<'_>,
    from: &mut BufReader<TcpStream>,
    to: &mut TcpStream,
) -> io::Result<()> {
    let framing = request.head.request_framing()?;
    let flipped = matches!(request.fault, Fault::CorruptRequest).then(|| middle(framing));
    let mut body = Body::new(from, framing);
    let mut piece = vec![0; PIECE_BYTES];
    let mut position = 0;
    loop {
        let n_read = body.read(&mut piece)?;
        if n_read == 0 {
            return write_end(to, framing, &body.trailer);
        }
        flip(&mut piece[..n_read], position, flipped);
        position += n_read as u64;
        shared.note(request.number, |seen| seen.request_bytes += n_read as u64);
        write_piece(to, framing, &piece[..n_read])?;
    }
}

/// Changes the byte at a position of the body, if it is in this piece, which begins at `start`.
fn flip(piece: &mut [u8], start: u64, position: Option<u64>) {
    let index = position.and_then(|position| usize::try_from(position.checked_sub(start)?).ok());
    if let Some(byte) = index.and_then(|index| piece.get_mut(index)) {
        *byte ^= 1;
    }
}

/// How many bytes come at once.
fn slow_piece(bytes_per_second: u64) -> usize {
    (bytes_per_second * SLOW_PIECE.as_millis() as u64 / 1000).clamp(1, PIECE_BYTES as u64) as usize
}
