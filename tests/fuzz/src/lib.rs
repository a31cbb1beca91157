//! The rooms of pixels, which name no other room, and what the targets share: how panics are judged, how memory is counted,
//! what is too large to be worth the time.

#[path = "../../../src/pipeline/mod.rs"]
pub mod pipeline;
#[path = "../../../src/plan/mod.rs"]
pub mod plan;
#[path = "../../../src/raster/mod.rs"]
pub mod raster;
mod seeds;
#[path = "../../../src/simd/mod.rs"]
pub mod simd;
#[path = "../../../src/transform/mod.rs"]
pub mod transform;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pipeline::Limits;

/// Larger sources take long, and show nothing that smaller ones do not.
pub const LIMITS: Limits = Limits { max_source_pixels: 4_000_000 };
/// The same of answers.
pub const MAX_OUTPUT_SIDE: u32 = 2048;

/// What may be in memory beside all that is counted before the work begins: tables, and windows of the resizer.
const UNCOUNTED_BYTES: u64 = 6 << 20;
/// Compressed profiles of PNG: one of up to 8 MiB is read, and copied.
const PROFILE_BYTES: u64 = 18 << 20;

/// To be called before the first input.
pub fn start() {
    seeds::write_if_asked();
    watch_panics();
}

/// Ends the process at a panic, but for those of libraries: the pipeline turns them into errors. So no wall hides a panic of
/// our own code, nor one of the standard library that it has called.
fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let is_library = panic.location().is_some_and(|place| place.file().contains("/registry/src/"));
        if !is_library {
            eprintln!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}

/// The system's allocator, which counts the bytes that are taken.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn take(n_bytes: usize) {
    PEAK.fetch_max(TAKEN.fetch_add(n_bytes, Relaxed) + n_bytes, Relaxed);
}

fn give_back(n_bytes: usize) {
    TAKEN.fetch_sub(n_bytes, Relaxed);
}

// SAFETY: everything is done by the system's allocator, with the arguments that it would have got anyway.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        give_back(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Does some work on a source, which may take as much memory as was told before, and what is not counted.
/// # Panics
/// If it takes more.
pub fn within<T>(told_bytes: u64, source: &[u8], work: impl FnOnce() -> T) -> T {
    let has_profile = source.windows(4).any(|name| name == b"iCCP");
    let uncounted_bytes = UNCOUNTED_BYTES + if has_profile { PROFILE_BYTES } else { 0 };
    let before = TAKEN.load(Relaxed);
    PEAK.store(before, Relaxed);
    let outcome = work();
    let most = (PEAK.load(Relaxed) - before) as u64;
    assert!(most <= told_bytes + uncounted_bytes, "{most} bytes were taken, {told_bytes} were told");
    outcome
}
