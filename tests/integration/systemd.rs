//! What the server tells systemd: here, a socket of the kind that systemd has.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;

use crate::server::{PATIENCE, Server, program};

/// The next message; each of its lines is a word of the protocol.
fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut room = [0; 1024];
    let length = socket.recv(&mut room).expect("systemd is told nothing");
    String::from_utf8(room[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
}

/// The next message that is no sign of life.
fn news(socket: &UnixDatagram) -> Vec<String> {
    loop {
        let words = heard(socket);
        if words != ["WATCHDOG=1"] {
            return words;
        }
    }
}

#[test]
fn systemd_is_told_of_start_life_reload_and_end() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir(&images).unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = program();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000").env_remove("WATCHDOG_PID");
    let mut server = Server::start_as(command, directory, &images, "");
    assert_eq!(heard(&socket), ["READY=1"]);
    server.assert_alive("the start");
    assert_eq!(heard(&socket), ["WATCHDOG=1"], "a server that has nothing to do lives, too");
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let words = news(&socket);
    assert!(words[0] == "RELOADING=1" && words[1].starts_with("MONOTONIC_USEC="), "{words:?}");
    assert_eq!(news(&socket), ["READY=1"]);
    server.stop();
    assert_eq!(news(&socket), ["STOPPING=1"]);
}
