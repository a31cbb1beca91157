//! nginx, as Debian has it, in front of the program: with the configuration that is shipped, in both forms of passing a
//! path on.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::server::{Answer, PATIENCE, Server, exchange, poll};

/// What nginx does with a path before it passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Nothing: `proxy_pass http://pixlserv;`, as shipped.
    Raw,
    /// Decodes and normalises it: `proxy_pass http://pixlserv/;`.
    Normalised,
}

/// A running nginx; it ends with this value.
pub(crate) struct Nginx {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    /// Starts nginx in front of a server; `None`, and a line that says so, where there is no nginx.
    pub(crate) fn start(server: &Server, passing: Passing) -> Option<Self> {
        let Some(program) = find_nginx() else {
            eprintln!("skipped: nginx is not installed");
            return None;
        };
        let directory = TempDir::new().unwrap();
        // The port is free now; if another takes it before nginx does, the next one is tried.
        (0..10)
            .find_map(|_| {
                let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                let file = directory.path().join("nginx.conf");
                fs::write(&file, configuration(server, passing, address, directory.path())).unwrap();
                let mut command = Command::new(&program);
                command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
                command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
                // One process, which ends when it is told to.
                let mut child = command.args(["-g", "daemon off; master_process off;"]).spawn().unwrap();
                let answers = || match child.try_wait().unwrap() {
                    Some(_) => Some(false),
                    None => TcpStream::connect(address).is_ok().then_some(true),
                };
                poll(Instant::now() + PATIENCE, answers)
                    .expect("nginx neither serves nor ends")
                    .then_some((child, address))
            })
            .map(|(child, address)| Self { child, address, directory })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let exchange = exchange(self.address, (head + "\r\n").as_bytes(), PATIENCE);
        assert_eq!(exchange.answers.len(), 1, "{method} {target}: {exchange:?}\n{}", self.errors());
        exchange.answers.into_iter().next().unwrap()
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[])
    }

    /// One line for each request that nginx has understood.
    pub(crate) fn access_log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find_nginx() -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&places).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join("nginx")).find(|program| program.is_file())
}

/// The shipped configuration, with the places of this test in place of those that it says are to be replaced.
fn configuration(server: &Server, passing: Passing, address: SocketAddr, directory: &Path) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nginx.conf");
    let mut text = fs::read_to_string(shipped).unwrap();
    let mut replace = |from: &str, to: &str| {
        assert!(text.contains(from), "config/nginx.conf has no longer {from:?}");
        text = text.replace(from, to);
    };
    let at = |name: &str| directory.join(name).display().to_string();
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    replace("user www-data;", user);
    replace("/run/nginx.pid", &at("nginx.pid"));
    replace("/var/log/nginx/access.log combined buffer=32k flush=5s", &format!("{} combined", at("access.log")));
    replace("/var/log/nginx/error.log", &at("error.log"));
    replace("listen 80;", &format!("listen {address};"));
    replace("server unix:/run/pixlserv/pixlserv.sock;", &format!("server {};", server.address()));
    replace("/var/lib/pixlserv/", &format!("{}/", server.data().display()));
    if passing == Passing::Normalised {
        replace("proxy_pass http://pixlserv;\n        }", "proxy_pass http://pixlserv/;\n        }");
    }
    // Debian's nginx would put these where only root may write.
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {};\n", at(kind)))
        .concat();
    text.replacen("http {\n", &format!("http {{\n{temporary}"), 1)
}

const ACCELERATED: &str = "cache: {x-accel-redirect: /pixlserv-cache/}\n";

#[test]
fn nginx_accepts_what_is_shipped_and_images_come_through_it() {
    for passing in [Passing::Raw, Passing::Normalised] {
        let server = Server::start("");
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        let direct = server.get("/image/w_20/photo.jpg");
        let through = nginx.get("/image/w_20/photo.jpg");
        assert_eq!((through.status, &through.body), (200, &direct.body));
        for name in ["ETag", "Last-Modified", "Cache-Control", "Content-Type", "X-Content-Type-Options"] {
            assert_eq!(through.header(name), direct.header(name), "{name}");
        }
        let known = nginx.request("GET", "/image/w_20/photo.jpg", &[("If-None-Match", direct.header("ETag").unwrap())]);
        assert_eq!((known.status, known.body.len()), (304, 0));
        let part = nginx.request("GET", "/image/w_20/photo.jpg", &[("Range", "bytes=2-5")]);
        assert_eq!((part.status, &part.body[..]), (206, &direct.body[2..=5]));
        assert_eq!(nginx.get("/health").text(), "ok");
    }
}

/// What nginx sends itself is what we would have sent, in every field that a client may rely on.
#[test]
fn nginx_sends_cached_files_itself() {
    let server = Server::start(ACCELERATED);
    let Some(nginx) = Nginx::start(&server, Passing::Raw) else {
        return;
    };
    let target = "/image/w_20/photo.png";
    let made = nginx.get(target);
    assert_eq!((made.status, made.header("X-Cache")), (200, Some("miss")));
    let redirect = poll(Instant::now() + PATIENCE, || {
        let redirect = server.request("GET", target, &[("X-Sendfile-Type", "X-Accel-Redirect")]);
        redirect.header("X-Accel-Redirect").is_some().then_some(redirect)
    });
    let redirect = redirect.expect("the answer is on disk after a while");
    assert!(redirect.body.is_empty() && redirect.header("Content-Type") == Some("image/png"));
    let place = redirect.header("X-Accel-Redirect").unwrap().to_owned();
    assert_eq!(server.get(target).body, made.body, "who does not ask for it gets bytes");

    let file = server.data().join("cache").join(place.strip_prefix("/pixlserv-cache/").unwrap());
    assert_eq!(fs::read(&file).unwrap(), made.body);
    for method in ["GET", "HEAD"] {
        let sent = nginx.request(method, target, &[]);
        assert_eq!((sent.status, sent.header("X-Cache")), (200, Some("hit")), "{method} {sent:?}");
        assert!(sent.body == if method == "GET" { &made.body[..] } else { &[] });
        for name in
            ["ETag", "Last-Modified", "Cache-Control", "Content-Type", "X-Content-Type-Options", "Content-Length"]
        {
            assert_eq!(sent.header(name), made.header(name), "{method} {name}");
            assert_eq!(sent.all(name).len(), 1, "{method} {name}: {sent:?}");
        }
        assert!(sent.header("X-Accel-Redirect").is_none());
    }
    let part = nginx.request("GET", target, &[("Range", "bytes=-4")]);
    assert_eq!((part.status, &part.body[..]), (206, &made.body[made.body.len() - 4..]));
    for (name, value) in [("If-None-Match", made.header("ETag")), ("If-Modified-Since", made.header("Last-Modified"))] {
        assert_eq!(nginx.request("GET", target, &[(name, value.unwrap())]).status, 304, "{name}");
    }
    assert_eq!(nginx.get(&place).status, 404, "the folder of the cache is not open to clients");

    // The file has to make room between the redirect and nginx's look at it.
    fs::remove_file(&file).unwrap();
    let again = nginx.get(target);
    assert_eq!((again.status, again.body == made.body), (200, true), "{again:?}");
}

#[test]
fn a_redirect_is_only_for_those_who_ask_and_where_it_is_configured() {
    let server = Server::start("");
    let ask = || server.request("GET", "/image/w_20/photo.png", &[("X-Sendfile-Type", "X-Accel-Redirect")]);
    for _ in 0..3 {
        let answer = ask();
        assert!(answer.header("X-Accel-Redirect").is_none() && !answer.body.is_empty());
    }
}
