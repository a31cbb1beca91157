//! What benches of whole servers share: programs on chosen cores, their addresses, and the heading of a record.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A command that runs on these cores only, as taskset writes them.
pub(crate) fn on_cores(program: &Path, cores: Option<&str>) -> Command {
    match cores {
        None => Command::new(program),
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(program);
            command
        }
    }
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&places).chain(["/usr/sbin".into()]);
    places.map(|place| place.join(program)).find(|path| path.is_file())
}

/// Our server with this configuration, and its address, once it listens. `listen` must be port 0 of 127.0.0.1.
pub(crate) fn start_pixlserv(configuration: &Path, cores: Option<&str>) -> (Child, String) {
    let mut command = on_cores(env!("CARGO_BIN_EXE_pixlserv").as_ref(), cores);
    let command = command.arg("run").arg(configuration).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let log = BufReader::new(child.stderr.take().expect("its log"));
    let mut lines = log.lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listening on http://")).expect("it listens");
    let address = line.rsplit_once("http://").expect("an address").1.trim().to_owned();
    thread::spawn(move || lines.for_each(drop));
    (child, address)
}

/// An address of this machine that nobody listens at.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").to_string()
}

/// Whether somebody listens there within half a minute.
pub(crate) fn is_served(address: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            return false;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    true
}

/// What a program says, or nothing.
pub(crate) fn say(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// The day, as names of records begin.
pub(crate) fn day() -> String {
    say("date", &["+%F"]).trim().to_owned()
}

/// CPU and commit, as records begin.
pub(crate) fn heading() -> String {
    let cpu = say("lscpu", &[]);
    let cpu: String = cpu.lines().filter(|line| line.starts_with("Model name") || line.starts_with("CPU(s)")).collect();
    format!("{cpu}\ncommit {}", say("git", &["rev-parse", "--short", "HEAD"]).trim())
}
