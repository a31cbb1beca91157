//! nginx, as Debian has it, in front of the program: with the configuration that is shipped, in both forms of passing a
//! path on.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::bucket_world::BucketWorld;
use crate::pictures::noise;
use crate::server::{Answer, PATIENCE, Server, exchange, poll};
use crate::upload_form::{form_of, upload_request};

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
        Self::start_before(&[server], passing)
    }

    /// As `start`, in front of one server or of three.
    pub(crate) fn start_before(servers: &[&Server], passing: Passing) -> Option<Self> {
        Self::start_with(|address, directory| configuration(servers, passing, address, directory).0)
    }

    /// As `start`, with a configuration for this address and directory.
    pub(crate) fn start_with(configuration: impl Fn(SocketAddr, &Path) -> String) -> Option<Self> {
        let program = find_nginx()?;
        let directory = TempDir::new().unwrap();
        // The port is free now; if another takes it before nginx does, the next one is tried.
        (0..10)
            .find_map(|_| {
                let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                let file = directory.path().join("nginx.conf");
                fs::write(&file, configuration(address, directory.path())).unwrap();
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

pub(crate) fn find_nginx() -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&places).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let program = places.map(|place| place.join("nginx")).find(|program| program.is_file());
    if program.is_none() {
        eprintln!("skipped: nginx is not installed");
    }
    program
}

/// The shipped configuration, with places that exist only where nginx is installed as a service in those of this test.
pub(crate) struct Shipped(pub(crate) String);

impl Shipped {
    /// In front of one server, and listening on an address.
    pub(crate) fn before(server: SocketAddr, address: SocketAddr, directory: &Path) -> Self {
        let mut shipped = Self::new(directory);
        shipped.replace("listen 80;", &format!("listen {address};"));
        shipped.replace("server unix:/run/pixlserv/pixlserv.sock ", &format!("server {server} "));
        shipped
    }

    fn new(directory: &Path) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nginx.conf");
        let mut shipped = Self(fs::read_to_string(file).unwrap());
        let at = |name: &str| directory.join(name).display().to_string();
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        shipped.replace("user www-data;", user);
        shipped.replace("/run/nginx.pid", &at("nginx.pid"));
        shipped.replace(
            "/var/log/nginx/access.log combined buffer=32k flush=5s",
            &format!("{} combined", at("access.log")),
        );
        shipped.replace("/var/log/nginx/error.log", &at("error.log"));
        shipped.replace("/var/cache/pixlserv-nginx", &at("kept"));
        // Debian's nginx would put these where only root may write.
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {};\n", at(kind)))
            .concat();
        shipped.replace("http {\n", &format!("http {{\n{temporary}"));
        shipped
    }

    /// With the lines that begin with this word after their `#`, as the command in the file's head switches them on.
    pub(crate) fn with(mut self, word: &str) -> Self {
        let switched_off = format!("#{word} ");
        let lines = self.0.lines().map(|line| match line.trim_start().strip_prefix(&switched_off) {
            Some(directive) => directive,
            None => line,
        });
        let switched_on = lines.collect::<Vec<_>>().join("\n");
        assert_ne!(switched_on, self.0.trim_end(), "config/nginx.conf has no longer lines of {switched_off:?}");
        self.0 = switched_on;
        self
    }

    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        assert!(self.0.contains(from), "config/nginx.conf has no longer {from:?}");
        self.0 = self.0.replace(from, to);
    }

    /// With the lines for more servers.
    fn with_three_servers(mut self) -> Self {
        self.replace("# server 10.0.0.2:3000", "server 10.0.0.2:3000");
        self.replace("# server 10.0.0.3:3000", "server 10.0.0.3:3000");
        self
    }
}

/// The shipped configuration, with the places of this test in place of those that it says are to be replaced.
fn configuration(servers: &[&Server], passing: Passing, address: SocketAddr, directory: &Path) -> Shipped {
    let mut shipped = Shipped::before(servers[0].address(), address, directory);
    // Some tests count what nginx has seen.
    shipped.replace("access_log off;", "");
    if let [_, second, third] = servers {
        shipped = shipped.with_three_servers();
        shipped.replace("10.0.0.2:3000", &second.address().to_string());
        shipped.replace("10.0.0.3:3000", &third.address().to_string());
    }
    shipped.replace("/var/lib/pixlserv/data/", &format!("{}/", servers[0].data().display()));
    if passing == Passing::Normalised {
        let location = "location / {";
        let (before, after) = shipped.0.split_once(location).unwrap();
        let normalised = after.replacen("proxy_pass http://pixlserv;", "proxy_pass http://pixlserv/;", 1);
        shipped.0 = format!("{before}{location}{normalised}");
    }
    shipped
}

const ACCELERATED: &str = "cache: {x-accel-redirect: /pixlserv-cache/}\n";

#[test]
fn nginx_takes_the_shipped_file_with_all_that_can_be_switched_on() {
    let Some(program) = find_nginx() else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let shipped = || Shipped::new(directory.path());
    for mut shipped in [shipped(), shipped().with_three_servers(), shipped().with("cache").with("rate")] {
        if !rustix::process::getuid().is_root() {
            // Another port is beyond what they may listen on.
            shipped.replace("listen 80;", "listen 8080;");
        }
        let file = directory.path().join("nginx.conf");
        fs::write(&file, shipped.0).unwrap();
        let output =
            Command::new(&program).arg("-t").arg("-p").arg(directory.path()).arg("-c").arg(&file).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let is_fine = output.status.success() && text.contains("test is successful") && !text.contains("[warn]");
        assert!(is_fine, "{text}");
    }
}

#[test]
fn one_server_of_three_has_an_image_and_another_takes_its_place() {
    let first = Server::start("");
    let (second, mut third) = (first.again(""), first.again(""));
    let Some(nginx) = Nginx::start_before(&[&first, &second, &third], Passing::Raw) else {
        return;
    };
    let asked = |server: &Server, what: &str| server.log().lines().filter(|line| line.contains(what)).count();
    // They write their logs a little later.
    let asked_all = |what: &str, n_wanted: usize| {
        let n_asked = || [&first, &second, &third].map(|server| asked(server, what));
        let all = || Some(n_asked()).filter(|counts| counts.iter().sum::<usize>() == n_wanted);
        poll(Instant::now() + PATIENCE, all).unwrap_or_else(|| panic!("{what}: {:?}", n_asked()))
    };
    let targets: Vec<_> = (10..70).map(|width| format!("/image/w_{width}/photo.jpg")).collect();
    for target in targets.iter().chain(&targets).chain(&targets) {
        assert_eq!(nginx.get(target).status, 200, "{target}");
    }
    let n_images = asked_all("/image/", 180);
    assert!(n_images.iter().all(|count| *count > 0), "{n_images:?}");
    for target in &targets {
        assert!(asked_all(&format!("{target} "), 3).contains(&3), "{target}: one is asked each time");
    }

    let upload = upload_request("/upload", &form_of(&crate::pictures::jpeg(64, 48)));
    for _ in 0..60 {
        assert_eq!(exchange(nginx.address(), &upload, PATIENCE).statuses(), [200]);
    }
    let n_uploads = asked_all("/upload ", 60);
    assert!(n_uploads.iter().all(|count| *count > 0), "{n_uploads:?}");

    third.kill();
    for target in &targets {
        assert_eq!(nginx.get(target).status, 200, "{target}");
    }
    for _ in 0..10 {
        assert_eq!(exchange(nginx.address(), &upload, PATIENCE).statuses(), [200], "nobody has got it before");
    }
}

/// Answers of all servers are no reason for nginx to leave them out.
#[test]
fn what_servers_have_in_memory_comes_through_while_the_bucket_is_away() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let servers = [(); 3].map(|()| world.serve(None, ""));
    let Some(nginx) = Nginx::start_before(&servers.each_ref()[..], Passing::Raw) else {
        return;
    };
    let targets: Vec<_> = (10..22).map(|width| format!("/image/w_{width}/cat.jpg")).collect();
    for target in &targets {
        assert_eq!(nginx.get(target).status, 200);
        let hit = || (nginx.get(target).header("X-Cache") == Some("hit")).then_some(());
        poll(Instant::now() + PATIENCE, hit).expect("an answer is never kept");
    }
    world.proxy.stop_listening();
    world.proxy.end_connections();
    for number in 0..30 {
        assert_eq!(nginx.get(&format!("/image/w_10/none-{number}.jpg")).status, 502);
    }
    for target in &targets {
        assert_eq!(nginx.get(target).status, 200, "{}", nginx.errors());
    }
}

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
