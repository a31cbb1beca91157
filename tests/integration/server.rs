//! Starts the program on a free port, and talks to it byte by byte.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

const START: Duration = Duration::from_secs(20);
/// Longer than any answer of a healthy server; a test that needs it all has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with directories of its own; it ends with this value.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    log_reader: Option<JoinHandle<()>>,
    directory: Arc<TempDir>,
}

/// The program, free of whatever the environment would make it choose.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixlserv"));
    for name in
        ["PORT", "HOST", "PIXLSERV_REDIS_URL", "PIXLSERV_REDIS_PORT", "PIXLSERV_S3_BUCKET", "PIXLSERV_GCS_BUCKET"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A command that ends in the program, such as `setpriv …`, which becomes it; environment and arguments are those of the
/// program.
pub(crate) fn program_by(mut command: Command) -> Command {
    let plain = program();
    command.arg(plain.get_program()).stdin(Stdio::null());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end and gives what it said.
pub(crate) fn run_to_end(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

impl Server {
    /// Serves `images/` of a fresh directory, which holds `photo.png` (48 × 32) and `photo.jpg` (64 × 48).
    pub(crate) fn start(configuration: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let images = directory.path().join("images");
        std::fs::create_dir(&images).unwrap();
        std::fs::write(images.join("photo.png"), crate::pictures::png(48, 32)).unwrap();
        std::fs::write(images.join("photo.jpg"), crate::pictures::jpeg(64, 48)).unwrap();
        Self::start_in(directory, &images, configuration)
    }

    /// Serves `images` without limits of rate; `directory` takes the configuration and the data.
    pub(crate) fn start_in(directory: impl Into<Arc<TempDir>>, images: &Path, configuration: &str) -> Self {
        Self::start_as(program(), directory.into(), images, configuration)
    }

    /// Another server with the same images and data; this one may have ended, or not.
    pub(crate) fn again(&self, configuration: &str) -> Self {
        Self::start_in(Arc::clone(&self.directory), &self.images(), configuration)
    }

    /// As `start_in`; `command` becomes the program. A configuration that has an address or a rate keeps it.
    pub(crate) fn start_as(mut command: Command, directory: Arc<TempDir>, images: &Path, configuration: &str) -> Self {
        let file = directory.path().join("config.yaml");
        let mut text = String::new();
        for (key, value) in [("listen: ", "127.0.0.1:0"), ("throttling-rate: ", "0")] {
            if !configuration.contains(key) {
                writeln!(text, "{key}{value}").unwrap();
            }
        }
        writeln!(text, "local-path: {:?}", images.display().to_string()).unwrap();
        writeln!(text, "data-path: {:?}", directory.path().join("data").display().to_string()).unwrap();
        std::fs::write(&file, text + configuration).unwrap();
        let mut child = command.arg("run").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, log_reader) = read_log(child.stderr.take().unwrap(), Arc::clone(&log));
        match wait_for_address(&lines) {
            Some(address) => Self { child, address, log, log_reader: Some(log_reader), directory },
            None => {
                // It may have ended by itself; then there is nothing to kill.
                let _ = child.kill();
                let status = child.wait().unwrap();
                panic!("the server never said `listening on` ({status}): {:#?}", log.lock().unwrap());
            }
        }
    }

    /// The directory, for another server that shares it.
    pub(crate) fn shared_directory(&self) -> Arc<TempDir> {
        Arc::clone(&self.directory)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.directory.path().join("images")
    }

    /// The `data-path` of the server.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn configuration_file(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// Puts an image in place of what has its name, in one step.
    pub(crate) fn put_image(&self, name: &str, content: &[u8], modified: SystemTime) {
        let new = self.directory.path().join("new-image");
        std::fs::write(&new, content).unwrap();
        std::fs::File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&new, self.images().join(name)).unwrap();
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server has said on stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The same without the lines that every request has.
    pub(crate) fn log_of_events(&self) -> String {
        let log = self.log.lock().unwrap();
        let lines: Vec<&str> =
            log.iter().map(String::as_str).filter(|line| !line.contains(" INFO request id=")).collect();
        lines.join("\n")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        self.try_connect().unwrap()
    }

    /// A connection, if the server still takes any.
    pub(crate) fn try_connect(&self) -> std::io::Result<TcpStream> {
        try_connect(self.address)
    }

    /// Sends the bytes on a fresh connection and reads until the server closes it or stays silent.
    pub(crate) fn exchange(&self, request: &[u8]) -> Exchange {
        exchange(self.address, request, PATIENCE)
    }

    /// As `exchange`; the server has `patience` to close the connection.
    pub(crate) fn exchange_for(&self, request: &[u8], patience: Duration) -> Exchange {
        exchange(self.address, request, patience)
    }

    /// One request that ends its connection, with its one answer.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let exchange = self.exchange((head + "\r\n").as_bytes());
        assert!(exchange.closed, "{method} {target}: Connection: close was asked, and it stays open");
        assert_eq!(exchange.answers.len(), 1, "{method} {target}: {exchange:?}\n{}", self.log());
        exchange.answers.into_iter().next().unwrap()
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[])
    }

    pub(crate) fn assert_alive(&self, after: &str) {
        assert_eq!(self.get("/health").status, 200, "after {after}");
    }

    /// Resident set in KB.
    pub(crate) fn resident_kb(&self) -> u64 {
        self.status_kb("VmRSS:")
    }

    /// The largest resident set since the start, or since `forget_peak`, in KB.
    pub(crate) fn peak_kb(&self) -> u64 {
        self.status_kb("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    fn status_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time used so far, in clock ticks.
    pub(crate) fn busy_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    pub(crate) fn terminate(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Ends the server as a system does that shuts down; gives all that it has said.
    pub(crate) fn stop(&mut self) -> String {
        self.terminate();
        let status = self.wait(PATIENCE).expect("the server still runs");
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log_reader.take().unwrap().join().unwrap();
        self.log()
    }

    /// Ends the server without a warning, as a power cut would, only that the system lives.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How the process ended, or None where it still runs after `patience`.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        poll(deadline, || self.child.try_wait().unwrap())
    }
}

pub(crate) fn try_connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends the bytes on a fresh connection to whoever is there, and reads until that closes it, or for `patience`.
pub(crate) fn exchange(address: SocketAddr, request: &[u8], patience: Duration) -> Exchange {
    let stream = try_connect(address).unwrap();
    let mut sender = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        // A refusing server stops reading: then the rest cannot be sent, and need not.
        scope.spawn(move || sender.write_all(request));
        let exchange = read_all(&stream, patience);
        let _ = stream.shutdown(Shutdown::Both);
        exchange
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files, sockets among them, that the server has open.
pub(crate) fn n_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// Asks again and again until there is something, or the deadline has passed.
pub(crate) fn poll<T>(deadline: Instant, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = question() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn read_log(stderr: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, lines) = channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line.clone());
            // Nobody listens any more once the address is known.
            let _ = sender.send(line);
        }
    });
    (lines, reader)
}

fn wait_for_address(lines: &Receiver<String>) -> Option<SocketAddr> {
    let deadline = Instant::now() + START;
    loop {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        if let Some((_, rest)) = line.split_once("listening on http://") {
            let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(rest.len());
            return rest[..end].parse().ok();
        }
    }
}

/// Everything that came back on one connection.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) answers: Vec<Answer>,
    /// The server ended the connection, by itself and in time.
    pub(crate) closed: bool,
}

impl Exchange {
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(80)]);
        write!(f, "{} {:?} ({} bytes) {body:?}", self.status, self.headers, self.body.len())
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_string()
    }

    /// Checks that a refusal says why, in one line of plain text.
    pub(crate) fn assert_reason(&self, what: &str) {
        let text = self.text();
        assert!(!text.is_empty() && !text.contains('\n'), "{what}: the reason is not one line: {self:?}");
        let kind = self.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "{what}: {self:?}");
    }
}

fn read_all(mut stream: &TcpStream, patience: Duration) -> Exchange {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    let closed = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break false;
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break true,
        }
    };
    Exchange { answers: answers(&bytes), closed }
}

/// Splits what came back into answers. An answer cut short keeps the body that came.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            panic!("what came back is no answer: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap();
        assert!(first.starts_with("HTTP/1."), "no status line: {first:?}");
        let status = first[9..12].parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(k, v)| (k.to_string(), v.trim().to_string()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        bytes = &bytes[end + 4..];
        let bodiless = status == 304 || status / 100 == 1;
        let length =
            if bodiless { 0 } else { answer.header("Content-Length").map_or(bytes.len(), |n| n.parse().unwrap()) };
        // A HEAD answer declares a body and sends none; so does nothing that follows it on its connection.
        let taken = length.min(bytes.len());
        answer.body = bytes[..taken].to_vec();
        bytes = &bytes[taken..];
        all.push(answer);
    }
    all
}
