//! Where connections come from: a TCP port or a unix-domain socket in the file system.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::socket::Socket;

/// Connections that the kernel keeps until we take them; it may lower this (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// A place that clients connect to.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// Why a place cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refused: no such address, port taken, no permission.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something other than a socket has this name; it is left alone.
    #[error("cannot listen on unix:{}: a file of that name exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// A process answers on the socket of this name.
    #[error("cannot listen on unix:{}: another process does", .0.display())]
    InUse(PathBuf),
}

impl Listener {
    /// Listens on `host:port`, or on `unix:/path`. A socket file nobody answers on, as a killed process leaves it, is
    /// replaced. The file gets the permissions that the umask leaves, and goes when the listener is dropped.
    ///
    /// # Errors
    /// If the place is taken, not there, or not allowed.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address: address.to_owned(), source };
        let kind = match address.strip_prefix("unix:") {
            None => Kind::Tcp(TcpListener::bind(address).map_err(failed)?),
            Some(path) => {
                let path = Path::new(path);
                remove_stale(path)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = SocketFile::of(path).map_err(failed)?;
                Kind::Unix { listener, file }
            }
        };
        let listener = Self(kind);
        listener.set_nonblocking().map_err(failed)?;
        rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
        Ok(listener)
    }

    /// The address of a TCP listener, with the port that port 0 became.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix { .. } => None,
        }
    }

    /// A second hand on the place, for a loop that waits for connections itself.
    #[cfg(feature = "tiny_http")]
    pub(super) fn blocking(&self) -> io::Result<tiny_http::Listener> {
        Ok(match &self.0 {
            Kind::Tcp(listener) => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(false)?;
                tiny_http::Listener::Tcp(listener)
            }
            Kind::Unix { listener, .. } => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(false)?;
                tiny_http::Listener::Unix(listener)
            }
        })
    }

    /// The next connection, without waiting, and the address it comes from.
    pub(super) fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Ok((Socket::from_tcp(stream)?, Some(address.ip().to_canonical())))
            }
            Kind::Unix { listener, .. } => Ok((Socket::from_unix(listener.accept()?.0)?, None)),
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(listener) => listener.set_nonblocking(true),
            Kind::Unix { listener, .. } => listener.set_nonblocking(true),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Tcp(listener) => listener.as_fd(),
            Kind::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(formatter, "{address}"),
                Err(_) => formatter.write_str("tcp"),
            },
            Kind::Unix { file, .. } => write!(formatter, "unix:{}", file.path.display()),
        }
    }
}

/// Removes the socket that a process left behind: a socket on which a connection is refused.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Bind { address: format!("unix:{}", path.display()), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        Ok(_) | Err(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

/// The file that a unix-domain socket is reached by; removed with us unless another took its name.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity_of(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = identity_of(&self.path).is_ok_and(|now| now == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket file stays behind");
        }
    }
}

/// Device and inode: two names of one file have the same, and a new file under an old name has not.
fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dead_sockets_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = format!("unix:{}", path.display());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        let listener = Listener::bind(&address).unwrap();
        assert_eq!(listener.to_string(), address);
        assert!(matches!(Listener::bind(&address), Err(ListenError::InUse(_))));
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind(&address), Err(ListenError::NoSocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_taken_name_is_not_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listener::bind(&format!("unix:{}", path.display())).unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_bad_address_is_an_error() {
        for address in ["", "nonsense", "127.0.0.1:99999", "unix:", "unix:/nowhere/at/all"] {
            assert!(matches!(Listener::bind(address), Err(ListenError::Bind { .. })), "{address:?}");
        }
    }
}
