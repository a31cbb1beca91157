//! One client socket: never blocking, every wait with a deadline. TCP or unix-domain makes no difference from here on.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};

use super::limits::Limits;
use super::stop::Stop;

/// Bytes asked for by one read; also what the buffer of a connection may hold beyond one head.
pub(super) const READ_BYTES: usize = 8 * 1024;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// The socket can go on, or is closed or broken, which the next call on it tells.
    Ready,
    /// The stop was asked for and the socket has nothing.
    Stop,
    /// The deadline passed.
    Timeout,
}

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

    /// Waits for bytes until `deadline`, or for the stop if one is given. Bytes go before the stop.
    pub(super) fn wait_readable(&self, deadline: Instant, stop: Option<&Stop>) -> io::Result<Wake> {
        wait(&self.0, PollFlags::IN, stop, deadline)
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

    /// Writes `head` and `body` as one stream, in one call if the socket takes it. Ends with `TimedOut` once less than
    /// the least rate is taken in one stretch of `write_timeout`, which a client that reads a byte now and then is too.
    pub(super) fn write_all(&self, head: &[u8], body: &[u8], limits: &Limits) -> io::Result<()> {
        let stretch_ms = u64::try_from(limits.write_timeout.as_millis()).unwrap_or(u64::MAX);
        let least = (limits.min_write_bytes_per_second.saturating_mul(stretch_ms) / 1000).max(1);
        let mut deadline = after(limits.write_timeout);
        let mut n_taken = 0_u64;
        let mut parts = [IoSlice::new(head), IoSlice::new(body)];
        let mut rest = &mut parts[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            if Instant::now() >= deadline {
                if n_taken < least {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                n_taken = 0;
                deadline = after(limits.write_timeout);
            }
            match self.send(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n_bytes) => {
                    n_taken += n_bytes as u64;
                    IoSlice::advance_slices(&mut rest, n_bytes);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    wait(&self.0, PollFlags::OUT, None, deadline)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes what the socket takes at once, and forgets the rest: for answers that nothing may wait for.
    pub(super) fn write_now(&self, bytes: &[u8]) {
        // A client that is gone, or takes nothing, misses nothing that it could use.
        let _ = self.send(&[IoSlice::new(bytes)]);
    }

    /// Says that no more is written, then reads and drops what still comes, up to the bounds. Closing a socket with
    /// unread bytes in it sends a reset, which takes the answer from a client that has not read it yet.
    pub(super) fn linger(&self, limits: &Limits) {
        let deadline = after(limits.linger_timeout);
        if shutdown(&self.0, Shutdown::Write).is_ok() {
            self.skip(limits.max_linger_bytes as u64, deadline);
        }
    }

    /// Reads and drops up to `n_bytes`, which costs no memory whatever their number. True if all of them came.
    pub(super) fn skip(&self, mut n_bytes: u64, deadline: Instant) -> bool {
        let mut room = [0; READ_BYTES];
        while n_bytes > 0 {
            let n_wanted = usize::try_from(n_bytes).map_or(READ_BYTES, |n_bytes| n_bytes.min(READ_BYTES));
            match self.read(&mut room[..n_wanted]) {
                Ok(None) if matches!(self.wait_readable(deadline, None), Ok(Wake::Ready)) => {}
                Ok(Some(n_read)) if n_read > 0 && Instant::now() < deadline => n_bytes -= n_read as u64,
                _ => return false,
            }
        }
        true
    }

    /// Ends the connection from another thread: whoever waits on it wakes up.
    pub(super) fn shut_down(&self) {
        // Fails only if the client was faster.
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// A client that is gone must not raise SIGPIPE, whatever the process does with that signal.
    fn send(&self, parts: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
        sendmsg(&self.0, parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until `source` has one of `flags`, the stop is asked for, or `deadline` passes; in that order if several.
fn wait(source: &OwnedFd, flags: PollFlags, stop: Option<&Stop>, deadline: Instant) -> io::Result<Wake> {
    let mut waiters = vec![PollFd::new(source, flags)];
    waiters.extend(stop.map(|stop| PollFd::new(stop, PollFlags::IN)));
    let n_ready = poll_until(&mut waiters, deadline)?;
    Ok(match n_ready {
        0 => Wake::Timeout,
        _ if waiters[0].revents().is_empty() => Wake::Stop,
        _ => Wake::Ready,
    })
}

/// The point in time that is `duration` from now; a day for durations that clocks cannot count.
pub(super) fn after(duration: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + DAY)
}

/// `poll` with a point in time, going on after signals.
pub(super) fn poll_until(waiters: &mut [PollFd<'_>], deadline: Instant) -> io::Result<usize> {
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Only times beyond the kernel's count fail, and those are as good as none.
        let timeout = Timespec::try_from(rest).ok();
        match poll(waiters, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
