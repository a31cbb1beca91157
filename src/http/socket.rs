//! One client socket, never blocking. TCP or unix-domain makes no difference from here on.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Takes over a TCP connection. Answers are written whole, so waiting to fill packets would only delay their end.
    pub(super) fn from_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream.into()))
    }

    /// Takes over a unix-domain connection.
    pub(super) fn from_unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(stream.into()))
    }

    /// What is there: `None` if nothing is yet, 0 at the end of the stream.
    pub(super) fn read(&self, room: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(&self.0, &mut *room, RecvFlags::empty()) {
                Ok((_, n_bytes)) => return Ok(Some(n_bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes as much of `parts` as the socket takes at once: `None` if it takes nothing now. A client that is gone
    /// must not raise SIGPIPE, whatever the process does with that signal.
    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        loop {
            match sendmsg(&self.0, parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL) {
                Ok(n_bytes) => return Ok(Some(n_bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says that no more is written; false if the client is gone already.
    pub(super) fn end_writing(&self) -> bool {
        shutdown(&self.0, Shutdown::Write).is_ok()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
