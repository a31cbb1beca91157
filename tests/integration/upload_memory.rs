//! How much memory uploads take: what the configuration says, however many come.

use std::io::Write;

use crate::client::together;
use crate::corpus::say;
use crate::pictures::{jpeg, noise};
use crate::server::Server;
use crate::upload_form::{Before, form_of, told, upload_request};

const N_UPLOADS: u64 = 16;
const FILE_BYTES: usize = 5_242_880;
const WORK_MEMORY: u64 = 64 << 20;
/// Of each upload that is received.
const RECEIVING_BYTES: u64 = 256 << 10;

/// The same picture in a file of exactly so many bytes, by comments after its start.
fn padded(picture: &[u8], n_bytes: usize) -> Vec<u8> {
    const LARGEST: usize = 65_535;
    let mut comments = Vec::new();
    let mut left = n_bytes - picture.len();
    while left > 0 {
        // What is left after this one has to have room for a comment of its own.
        let piece = if left > LARGEST + 2 { LARGEST.min(left - 2 - 4) + 2 } else { left };
        comments.extend([0xff, 0xfe]);
        comments.extend(((piece - 2) as u16).to_be_bytes());
        comments.resize(comments.len() + piece - 4, b' ');
        left -= piece;
    }
    [&picture[..2], &comments, &picture[2..]].concat()
}

#[test]
fn files_at_the_limit_take_the_memory_that_is_set_for_them() {
    let allowed_kb = (N_UPLOADS * RECEIVING_BYTES + WORK_MEMORY / 4 + WORK_MEMORY) / 1024;
    for (what, picture) in [("colour", jpeg(2500, 2000)), ("gray", noise(2236, 2236))] {
        let server = Server::start(&format!("work-memory: {WORK_MEMORY}\n"));
        let before = Before::of(&server);
        let content = padded(&picture, FILE_BYTES);
        assert_eq!(content.len(), FILE_BYTES);
        let request = upload_request("/upload", &form_of(&content));
        server.forget_peak();
        let start = server.resident_kb();
        let all = together((0..N_UPLOADS).collect(), |_| told(&server, &request));
        assert!(all.iter().all(|told| told.status == 200), "{all:?}");
        let (peak, end) = (server.peak_kb(), server.resident_kb());
        let growth = peak.saturating_sub(start);
        say(&format!(
            "{N_UPLOADS} uploads of 5 MB, {what}: {start} KB before, {peak} KB at most, {end} KB after; + {growth} KB, \
             allowed: {allowed_kb} KB"
        ));
        assert!(growth <= allowed_kb, "{what}: {growth} KB, allowed: {allowed_kb} KB");
        before.assert_all_closed(&server, what);
    }
}

#[test]
fn uploads_that_wait_for_their_clients_take_little() {
    let server = Server::start("");
    let request = upload_request("/upload", &form_of(&padded(&noise(300, 300), 1 << 20)));
    let before = Before::of(&server);
    let start = server.resident_kb();
    // All but the last bytes of each.
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request[..request.len() - 10]).unwrap();
            stream
        })
        .collect();
    server.assert_alive("100 uploads");
    let growth = server.resident_kb().saturating_sub(start);
    say(&format!("100 uploads of 1 MB that wait for their clients: + {growth} KB"));
    assert!(growth <= 100 * RECEIVING_BYTES / 1024, "{growth} KB");
    drop(waiting);
    before.assert_all_closed(&server, "clients that left");
    before.assert_nothing_stored(&server, "clients that left");
}
