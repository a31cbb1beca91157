//! The wish to stop, shared between the one who asks and all who wait.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends [`serve`](super::serve) when asked. Clones share one wish; it cannot be taken back.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requested: AtomicBool,
    /// Never read from: once a byte is in, every poll on this end returns at once, for ever.
    reader: PipeReader,
    writer: PipeWriter,
}

impl Stop {
    /// Makes a wish that nobody has spoken yet.
    ///
    /// # Errors
    /// If the process can open no pipe.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self(Arc::new(Inner { requested: AtomicBool::new(false), reader, writer })))
    }

    /// Asks for the stop and wakes everybody who waits on it. Asking again changes nothing.
    pub fn request(&self) {
        if !self.0.requested.swap(true, Ordering::SeqCst)
            && let Err(error) = (&self.0.writer).write_all(&[1])
        {
            tracing::error!(%error, "the stop could not wake the accept loop");
        }
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }
}

impl AsFd for Stop {
    /// Readable once the stop is asked for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
