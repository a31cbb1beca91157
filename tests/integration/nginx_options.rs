//! What the shipped configuration of nginx lets in, and what can be switched on in it: answers that nginx keeps, rates.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use crate::client::Client;
use crate::nginx::{Nginx, Shipped};
use crate::server::{Answer, PATIENCE, Server, answers, exchange, poll, try_connect};
use crate::upload_form::{Told, form_of, upload_request};

/// nginx with answers of its own, which it asks about after a second instead of a minute.
fn keeping(server: &Server) -> Option<Nginx> {
    Nginx::start_with(|address, directory| {
        let mut shipped = Shipped::before(server.address(), address, directory).with("cache");
        shipped.replace("proxy_cache_valid 200 1m;", "proxy_cache_valid 200 1s;");
        shipped.0
    })
}

/// How often the server was asked for something; it writes its log a little later.
fn asked(server: &Server, target: &str) -> usize {
    let mark = format!("/image/w_1/after-{}.jpg", server.log().len());
    server.get(&mark);
    poll(Instant::now() + PATIENCE, || server.log().contains(&mark).then_some(())).expect("a request is not logged");
    server.log().lines().filter(|line| line.contains(&format!("{target} "))).count()
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("X-Cache") == Some("hit")
}

#[test]
fn nginx_answers_from_its_own_cache() {
    // Nothing is kept by the server, so that a hit is one of nginx.
    let server = Server::start("cache: {enabled: No, memory: 0}\n");
    let Some(nginx) = keeping(&server) else {
        return;
    };
    let target = "/image/w_20/photo.jpg";
    let made = nginx.get(target);
    assert_eq!((made.status, made.header("X-Cache")), (200, Some("miss")));
    let kept = nginx.get(target);
    assert!(kept.status == 200 && is_hit(&kept) && kept.body == made.body, "{kept:?}");
    for name in ["ETag", "Last-Modified", "Cache-Control", "Content-Type", "X-Content-Type-Options", "Content-Length"] {
        assert!(made.header(name).is_some() && kept.all(name) == made.all(name), "{name}: {kept:?}");
    }
    let part = nginx.request("GET", target, &[("Range", "bytes=2-5")]);
    assert_eq!((part.status, &part.body[..]), (206, &made.body[2..=5]));
    for (name, value) in [("If-None-Match", made.header("ETag")), ("If-Modified-Since", made.header("Last-Modified"))] {
        assert_eq!(nginx.request("GET", target, &[(name, value.unwrap())]).status, 304, "{name}");
    }
    let head = nginx.request("HEAD", target, &[]);
    assert!(
        head.status == 200 && head.body.is_empty() && head.header("Content-Length") == made.header("Content-Length")
    );

    // A part of what nobody has asked for yet.
    let target = "/image/w_21/photo.jpg";
    let part = nginx.request("GET", target, &[("Range", "bytes=2-5")]);
    assert_eq!((part.status, part.body.len()), (206, 4), "{part:?}");
    assert_eq!(part.body, nginx.get(target).body[2..=5]);
    assert_eq!(asked(&server, target), 1);

    // With a key in its path nothing is kept: the key may be removed.
    let target = "/0123456789abcdef0123456789abcdef/image/w_20/photo.jpg";
    for _ in 0..2 {
        assert_eq!(nginx.get(target).status, 401);
    }
    assert_eq!(nginx.get("/image/w_20/none.jpg").status, 404);
    assert_eq!(nginx.get("/image/w_20/none.jpg").status, 404);
    assert_eq!(asked(&server, "/image/w_20/none.jpg"), 2, "errors are not kept");
}

#[test]
fn nginx_asks_for_one_image_once_and_later_whether_it_is_still_good() {
    let server = Server::start("");
    let Some(nginx) = keeping(&server) else {
        return;
    };
    let target = "/image/w_22/photo.jpg";
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(nginx.get(target).status, 200));
        }
    });
    assert_eq!(asked(&server, target), 1);
    // Some request after a second makes nginx ask.
    let is_asked_again = || {
        assert!(is_hit(&nginx.get(target)));
        server.log().lines().any(|line| line.contains(&format!("{target} ")) && line.contains("304")).then_some(())
    };
    poll(Instant::now() + PATIENCE, is_asked_again).expect("nginx never asks whether its answer is still good");

    // What is gone is not given out by nginx for longer than it may go without asking.
    std::fs::remove_file(server.images().join("photo.jpg")).unwrap();
    let is_gone = || (nginx.get(target).status == 404).then_some(());
    poll(Instant::now() + Duration::from_secs(5), is_gone).expect("what is gone is still served");
    assert_eq!(nginx.get(target).status, 404, "and it does not come back");
}

#[test]
fn what_nginx_has_is_served_while_the_server_is_away() {
    let mut server = Server::start("");
    let Some(nginx) = keeping(&server) else {
        return;
    };
    let target = "/image/w_23/photo.jpg";
    let made = nginx.get(target);
    assert_eq!(made.status, 200);
    server.kill();
    // Longer than it counts as fresh.
    let until = Instant::now() + Duration::from_millis(2500);
    let still_served = || {
        let kept = nginx.get(target);
        assert!(kept.status == 200 && is_hit(&kept) && kept.body == made.body, "{kept:?}");
        None::<()>
    };
    assert!(poll(until, still_served).is_none());
    assert_eq!(nginx.get("/image/w_24/photo.jpg").status, 502);
}

#[test]
fn an_address_has_so_many_requests_at_once() {
    let server = Server::start("");
    let nginx = Nginx::start_with(|address, directory| {
        let mut shipped = Shipped::before(server.address(), address, directory);
        shipped.replace("limit_conn pixlserv_connections 200;", "limit_conn pixlserv_connections 2;");
        shipped.0
    });
    let Some(nginx) = nginx else {
        return;
    };
    // Their bodies never come.
    let held = [(); 2].map(|()| {
        let mut stream = try_connect(nginx.address()).unwrap();
        stream.write_all(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n").unwrap();
        stream
    });
    let is_full = || (nginx.get("/image/w_20/photo.jpg").status == 429).then_some(());
    poll(Instant::now() + PATIENCE, is_full).expect("a third request is answered");
    drop(held);
    let has_room = || (nginx.get("/image/w_20/photo.jpg").status == 200).then_some(());
    poll(Instant::now() + PATIENCE, has_room).expect("there is no room again");
}

#[test]
fn a_rate_holds_where_it_is_switched_on() {
    let server = Server::start("");
    let nginx = Nginx::start_with(|address, directory| {
        let mut shipped = Shipped::before(server.address(), address, directory).with("rate");
        shipped.replace("burst=200", "burst=5");
        shipped.0
    });
    let Some(nginx) = nginx else {
        return;
    };
    assert_eq!(nginx.get("/image/w_20/photo.jpg").status, 200);
    let is_refused = || {
        // As many at once as no second lets through.
        let statuses = std::thread::scope(|scope| {
            let all = [(); 30].map(|()| scope.spawn(|| nginx.get("/image/w_20/photo.jpg").status));
            all.map(|one| one.join().unwrap())
        });
        assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
        statuses.contains(&429).then_some(())
    };
    poll(Instant::now() + PATIENCE, is_refused).expect("nobody is ever refused");
}

/// A connection from another address of this machine than 127.0.0.1.
fn connect_from_elsewhere(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn numbers_are_for_this_machine_only() {
    let server = Server::start("");
    let shipped = |own: SocketAddr, directory: &Path| Shipped::before(server.address(), own, directory).0;
    let Some(nginx) = Nginx::start_with(shipped) else {
        return;
    };
    let from_elsewhere = |target: &str| {
        let mut stream = connect_from_elsewhere(nginx.address());
        stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        answers(&bytes)[0].status
    };
    for target in ["/metrics", "/metrics?x", "//metrics", "/%6detrics", "/x/../metrics"] {
        assert_eq!(from_elsewhere(target), 403, "{target}");
    }
    for target in ["/health", "/ready", "/image/w_20/photo.jpg"] {
        assert_eq!(from_elsewhere(target), 200, "{target}");
    }
    assert_ne!(nginx.get("/metrics").status, 403);
    let log = nginx.access_log().join("\n");
    assert!(!log.contains("/health") && !log.contains("/ready"), "{log}");
}

#[test]
fn a_request_goes_on_with_a_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let Some(nginx) = Nginx::start_with(|own, directory| Shipped::before(address, own, directory).0) else {
        return;
    };
    for target in ["/image/w_20/photo.jpg", "/upload", "/health"] {
        let head = std::thread::scope(|scope| {
            let head = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
                String::from_utf8(head).unwrap()
            });
            let own = [("X-Request-Id", "of the client"), ("X-Forwarded-For", "10.0.0.1")];
            assert_eq!(nginx.request("GET", target, &own).status, 200);
            head.join().unwrap()
        });
        let values = |name: &str| -> Vec<String> {
            let lines = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            lines.map(str::to_owned).collect()
        };
        let names = values("X-Request-Id");
        assert!(names.len() == 1 && names[0].len() == 32, "{target}: {head}");
        assert_eq!(values("X-Forwarded-For"), ["127.0.0.1"], "{target}");
    }
}

/// As it is installed: through a unix socket, with cached files sent by nginx, and clients told apart by their addresses.
#[test]
fn all_of_it_comes_through_the_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let server = Server::start(&format!(
        "listen: [\"127.0.0.1:0\", \"unix:{}\"]\nthrottling-rate: 30\ncache: {{x-accel-redirect: /pixlserv-cache/}}\n",
        socket.display()
    ));
    let nginx = Nginx::start_with(|own, directory| {
        let mut shipped = Shipped::before(server.address(), own, directory);
        shipped.replace(&format!("server {} ", server.address()), &format!("server unix:{} ", socket.display()));
        shipped.replace("/var/lib/pixlserv/data/", &format!("{}/", server.data().display()));
        shipped.0
    });
    let Some(nginx) = nginx else {
        return;
    };
    let upload = upload_request("/upload", &form_of(&crate::pictures::jpeg(64, 48)));
    let told = Told::only(&exchange(nginx.address(), &upload, PATIENCE), "through nginx");
    assert_eq!(told.status, 200, "{told:?}");
    let target = format!("/image/w_20/{}", told.path);
    let made = nginx.get(&target);
    assert_eq!((made.status, made.header("X-Cache")), (200, Some("miss")), "{made:?}");
    let tag = made.header("ETag").unwrap();
    assert_eq!(nginx.request("GET", &target, &[("If-None-Match", tag)]).status, 304);
    let part = nginx.request("GET", &target, &[("Range", "bytes=2-5")]);
    assert_eq!((part.status, &part.body[..]), (206, &made.body[2..=5]));
    let redirected = || server.request("GET", &target, &[("X-Sendfile-Type", "X-Accel-Redirect")]);
    let is_there = || redirected().header("X-Accel-Redirect").is_some().then_some(());
    poll(Instant::now() + PATIENCE, is_there).expect("it is on disk after a while");
    let sent = nginx.get(&target);
    assert_eq!((sent.status, sent.header("X-Cache"), &sent.body), (200, Some("hit"), &made.body));
    assert!(server.log().contains("request_id=") && server.log().contains("client=127.0.0.1"), "{}", server.log());

    // One address has had enough; another is not concerned.
    let ask = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    let statuses = |mut stream: TcpStream, n: usize| {
        let mut client = Client::over(stream.try_clone().unwrap());
        (0..n)
            .map(|_| {
                stream.write_all(ask.as_bytes()).unwrap();
                client.receive().unwrap().unwrap().status
            })
            .collect::<Vec<u16>>()
    };
    let of_one = statuses(try_connect(nginx.address()).unwrap(), 60);
    assert!(of_one.contains(&429), "{of_one:?}");
    assert_eq!(statuses(connect_from_elsewhere(nginx.address()), 5), [200; 5]);
}
