//! Load, crowds, overload, stops, faults, and a mix of everything. `cargo test` has a few seconds of each, with bounds
//! that a busy machine keeps; where `PIXLSERV_ENDURANCE` names a number of seconds, each goes on for so long, and what
//! is promised is asked for (`scripts/soak` does that with an optimised build).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Server, program};

mod clock;
mod drain;
mod faults;
mod histogram;
mod idle;
mod load;
mod overload;
mod playback;
mod requests;
mod soak;
mod trend;

/// Seconds that each part takes, instead of a few.
const LENGTH: &str = "PIXLSERV_ENDURANCE";

/// How long a part goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) time: Duration,
    /// Whether figures are asked for that only a quiet machine and an optimised build can give.
    pub(crate) is_strict: bool,
}

impl Length {
    /// So long, unless the environment asks for another.
    pub(crate) fn of(short: Duration) -> Self {
        match std::env::var(LENGTH) {
            Ok(text) => Self {
                time: Duration::from_secs(text.parse().unwrap_or_else(|_| panic!("{LENGTH}: seconds, not {text:?}"))),
                is_strict: true,
            },
            Err(_) => Self { time: short, is_strict: false },
        }
    }

    /// One bound where figures are asked for, else another.
    pub(crate) fn bound<T>(&self, strict: T, generous: T) -> T {
        if self.is_strict { strict } else { generous }
    }
}

/// The line of numbers that a part has to say.
pub(crate) fn report(part: &str, numbers: fmt::Arguments<'_>) {
    crate::corpus::say(&format!("endurance {part}: {numbers}"));
}

/// Starts a server as `Server::start` does. Its C library gives large blocks back at once and keeps few others: what it
/// hoards is no leak, and hides one.
fn start(configuration: &str) -> Server {
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("photo.png"), crate::pictures::png(48, 32)).unwrap();
    std::fs::write(images.join("photo.jpg"), crate::pictures::jpeg(64, 48)).unwrap();
    let mut command = program();
    command.env("MALLOC_ARENA_MAX", "2").env("MALLOC_MMAP_THRESHOLD_", "262144");
    Server::start_as(command, directory, &images, configuration)
}

/// Puts a photograph of 1024 × 768 there under `n` names; where the corpus is missing, noise.
fn put_photographs(images: &Path, n: usize) {
    let found = crate::corpus::folder().map(|corpus| corpus.join("photos/libgd__usfws_fire.jpg"));
    let photograph = found.map_or_else(|| crate::pictures::noise(1024, 768), |file| std::fs::read(file).unwrap());
    for number in 0..n {
        std::fs::write(images.join(format!("photo-{number}.jpg")), &photograph).unwrap();
    }
}

/// What nobody has asked for before, of photographs under so many names: a variant for each number.
fn cold_target(number: usize, n_photographs: usize, least_side: usize) -> String {
    let (name, rest) = (number % n_photographs, number / n_photographs);
    format!("/image/w_{},h_{}/photo-{name}.jpg", least_side + rest % 128, least_side + rest / 128)
}

/// Checks that a server has nothing to say that would wake anybody, and that it ends in order.
fn assert_ends_well(mut server: Server) {
    server.assert_alive("all of it");
    let log = server.stop();
    let is_bad = |line: &&str| line.contains(" ERROR ") || line.contains("panic");
    let lines: Vec<&str> = log.lines().filter(is_bad).collect();
    assert!(lines.is_empty(), "{} such lines: {:#?}", lines.len(), &lines[..lines.len().min(5)]);
}
