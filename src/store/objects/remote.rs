//! An object storage with patience: calls are tried again, and content is believed only when it is whole.

use std::io::Read;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use super::agent::io_failure;
use super::attempts::Attempts;
use super::{Answer, Backend, Content, Fetched, ObjectError, ObjectState, Objects, Page, Sink};

/// Storing may take so many times longer than reading: the storage answers once it has all of it.
const WRITE_PATIENCE: u32 = 6;
/// A storage that has answered within this time need not be asked whether it answers.
const FRESH: Duration = Duration::from_secs(10);
/// What content must come at, once it has had a while to begin.
const MIN_BYTES_PER_SECOND: u64 = 128 << 10;
const MAX_BODY_DELAY: Duration = Duration::from_secs(6);
/// Content is read and handed on in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Objects of a [`Backend`].
#[derive(Debug)]
pub(crate) struct Remote<B> {
    backend: B,
    attempts: Attempts,
    timeout: Duration,
}

impl<B: Backend> Remote<B> {
    /// `timeout` is how long reading may take until the head of an answer is there, tries and pauses included.
    pub(crate) fn new(backend: B, timeout: Duration) -> Self {
        Self { backend, attempts: Attempts::default(), timeout }
    }
}

impl<B: Backend> Objects for Remote<B> {
    fn get(&self, name: &str, unless: Option<&str>, into: &mut dyn Sink) -> Result<Fetched, ObjectError> {
        self.attempts.run(self.timeout, |left| match self.backend.get(name, unless, left)? {
            Answer::Unchanged => Ok(Fetched::Unchanged),
            Answer::Object { state, md5, body } => {
                self.attempts.note_answer();
                receive(&state, md5, body, into).map_err(broken)?;
                Ok(Fetched::Whole(state))
            }
        })
    }

    fn head(&self, name: &str) -> Result<ObjectState, ObjectError> {
        self.attempts.run(self.timeout, |left| self.backend.head(name, left))
    }

    fn put(&self, name: &str, content: &Content, content_type: &str) -> Result<(), ObjectError> {
        let md5 = md5_of(content)?;
        let timeout = self.timeout * WRITE_PATIENCE;
        self.attempts.run(timeout, |left| self.backend.put(name, content, &md5, content_type, left))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.attempts.run(self.timeout, |left| self.backend.delete(name, left)) {
            Err(ObjectError::Missing) => Ok(()),
            result => result,
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, ObjectError> {
        self.attempts.run(self.timeout, |left| self.backend.list(prefix, after, limit, left))
    }

    fn check(&self) -> Result<(), ObjectError> {
        if self.attempts.has_answered_within(FRESH) {
            return Ok(());
        }
        self.list("", None, 1).map(drop)
    }
}

/// A failure after the head of the answer.
fn broken(error: ObjectError) -> ObjectError {
    match error {
        ObjectError::Unreachable(reason) | ObjectError::Failed(reason) | ObjectError::TimedOut(reason) => {
            ObjectError::Broken(reason)
        }
        error => error,
    }
}

/// Whether a body comes too slowly to be waited for.
fn is_too_slow(n_bytes: u64, time: Duration) -> bool {
    time.saturating_sub(MAX_BODY_DELAY).as_secs().saturating_mul(MIN_BYTES_PER_SECOND) > n_bytes
}

/// Hands all of a body on, and compares size and checksum.
fn receive(
    state: &ObjectState,
    md5: Option<[u8; 16]>,
    mut body: Box<dyn Read + Send>,
    into: &mut dyn Sink,
) -> Result<(), ObjectError> {
    into.begin(state).map_err(ObjectError::Content)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut hash = Md5::new();
    let (mut n_bytes, began) = (0, Instant::now());
    loop {
        let n_read = body.read(&mut piece).map_err(|error| io_failure(&error))?;
        if is_too_slow(n_bytes, began.elapsed()) {
            return Err(ObjectError::TimedOut("the content comes too slowly".to_owned()));
        }
        if n_read == 0 {
            break;
        }
        n_bytes += n_read as u64;
        if n_bytes > state.size_bytes {
            break;
        }
        hash.update(&piece[..n_read]);
        into.write(&piece[..n_read]).map_err(ObjectError::Content)?;
    }
    if n_bytes != state.size_bytes {
        return Err(ObjectError::Failed(format!("the content has not the {} bytes that it should", state.size_bytes)));
    }
    if md5.is_some_and(|md5| md5 != <[u8; 16]>::from(hash.finalize())) {
        return Err(ObjectError::Failed("the content is damaged: its MD5 is another".to_owned()));
    }
    Ok(())
}

fn md5_of(content: &Content) -> Result<[u8; 16], ObjectError> {
    let mut reader = content.reader();
    let mut piece = vec![0; PIECE_BYTES];
    let mut hash = Md5::new();
    loop {
        match reader.read(&mut piece).map_err(ObjectError::Content)? {
            0 => return Ok(hash.finalize().into()),
            n_read => hash.update(&piece[..n_read]),
        }
    }
}
