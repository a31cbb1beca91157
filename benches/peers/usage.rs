//! What processes use, from `/proc`: CPU and memory of a server with all its children.

use std::fs;

/// Ticks of the times in `/proc/PID/stat`; USER_HZ is 100 on all architectures that Rust servers run on.
const TICK_MS: f64 = 10.0;

/// A process and its descendants.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that has just ended has no parent any more.
        if let Some(parent) = stat(id).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) {
            parents.push((id, parent));
        }
    }
    let mut found = vec![root];
    let mut index = 0;
    while let Some(&parent) = found.get(index) {
        found.extend(parents.iter().filter(|(_, other)| *other == parent).map(|(id, _)| id));
        index += 1;
    }
    found
}

/// Fields of `/proc/PID/stat` after the name, which may hold anything: state, parent, …
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

/// User and system time so far, in milliseconds.
pub(crate) fn cpu_ms(root: u32) -> f64 {
    let of = |id: u32| {
        let fields = stat(id)?;
        // utime and stime are fields 14 and 15 of the whole line.
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    tree(root).into_iter().filter_map(of).sum::<f64>() * TICK_MS
}

/// Forgets the peak so far.
pub(crate) fn reset_peak(root: u32) {
    for id in tree(root) {
        // Without the right to it the peak since the start counts, which is no less.
        let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
    }
}

/// Most memory that was resident since the peak was reset, in MB; the processes' peaks are added up.
pub(crate) fn peak_mb(root: u32) -> f64 {
    let of = |id: u32| {
        let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()
    };
    tree(root).into_iter().filter_map(of).sum::<f64>() / 1024.0
}

/// CPU that this thread has used, in milliseconds.
pub(crate) fn thread_cpu_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    let ns = text.split_ascii_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    ns.expect("nanoseconds come first") / 1e6
}
