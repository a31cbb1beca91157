//! A Google Cloud Storage of one's own: gcp-storage-emulator (Python) in a process of its own, and before it a front in
//! this one. `scripts/python-tools` installs the emulator.

mod front;
mod tokens;
pub(crate) mod wire;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use front::Front;
use wire::{Request, Response};

use crate::corpus::say;

const ISSUER: &str = "pixlserv@example.iam.gserviceaccount.com";
const BUCKET: &str = "images";

/// A running storage with an empty bucket; it ends with this value.
pub(crate) struct GcsServer {
    pub(crate) bucket: String,
    pub(crate) issuer: String,
    front: Arc<Front>,
    address: SocketAddr,
    has_ended: Arc<AtomicBool>,
    emulator: Child,
}

/// A key pair in the forms that are needed, made once.
pub(crate) struct Keys {
    pub(crate) pkcs8: String,
    pub(crate) pkcs1: String,
    public: Vec<u8>,
}

impl GcsServer {
    /// Starts a storage; `None`, and a line that says so, where the emulator is not installed.
    pub(crate) fn start() -> Option<Self> {
        let python = python()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/gcs_emulator.py");
        let mut emulator = Command::new(python)
            .arg("-B")
            .arg(script)
            .arg(BUCKET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(emulator.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let front = Arc::new(Front {
            bucket: BUCKET.to_owned(),
            tokens: tokens::Tokens::new(ISSUER, keys().public.clone(), format!("http://{address}/token")),
            emulator: Mutex::new(SocketAddr::from((
                [127, 0, 0, 1],
                port.trim().parse().expect("the emulator says its port"),
            ))),
            n_requests: Default::default(),
            n_unauthorized: Default::default(),
        });
        let has_ended = Arc::new(AtomicBool::new(false));
        serve(listener, Arc::clone(&front), Arc::clone(&has_ended));
        Some(Self { bucket: BUCKET.to_owned(), issuer: ISSUER.to_owned(), front, address, has_ended, emulator })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Past the front: an emulator that tells less than the service, and wants no token.
    pub(crate) fn emulator_endpoint(&self) -> String {
        format!("http://{}", self.front.emulator.lock().unwrap())
    }

    pub(crate) fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The account's private key in PKCS#8.
    pub(crate) fn key(&self) -> &'static str {
        &keys().pkcs8
    }

    /// The variables that make a server use this storage, reached by `endpoint`: its own, or one before it.
    pub(crate) fn environment(&self, endpoint: &str) -> [(&'static str, String); 5] {
        [
            ("GCS_ISS", self.issuer.clone()),
            ("GCS_KEY", self.key().to_owned()),
            ("PIXLSERV_GCS_BUCKET", self.bucket.clone()),
            ("PIXLSERV_GCS_ENDPOINT", endpoint.to_owned()),
            ("PIXLSERV_GCS_TOKEN_URL", self.token_url()),
        ]
    }

    /// Tokens that are given out from now on live so long.
    pub(crate) fn set_token_life_ms(&self, life_ms: u64) {
        self.front.tokens.life_ms.store(life_ms, Ordering::Relaxed);
    }

    /// Tokens that were given out are taken no longer.
    pub(crate) fn revoke_tokens(&self) {
        self.front.tokens.revoke();
    }

    /// The clock of this server is ahead by so much.
    pub(crate) fn set_ahead_seconds(&self, ahead: i64) {
        self.front.tokens.ahead_seconds.store(ahead, Ordering::Relaxed);
    }

    /// Asking for a token is answered by this status; 0 ends that.
    pub(crate) fn set_token_status(&self, status: u16) {
        self.front.tokens.failing_status.store(status.into(), Ordering::Relaxed);
    }

    /// How often a token was asked for.
    pub(crate) fn n_tokens(&self) -> usize {
        self.front.tokens.n_asked.load(Ordering::Relaxed)
    }

    /// Requests to the storage, tokens left out.
    pub(crate) fn n_requests(&self) -> usize {
        self.front.n_requests.load(Ordering::Relaxed)
    }

    /// Those among them whose token was not taken.
    pub(crate) fn n_unauthorized(&self) -> usize {
        self.front.n_unauthorized.load(Ordering::Relaxed)
    }

    /// Stores an object by an upload whose metadata are given, past all of the server under test.
    pub(crate) fn store_as(&self, metadata: &serde_json::Value, content: &[u8]) {
        let parts = format!(
            "--x\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n--x\r\nContent-Type: image/jpeg\r\n\r\n"
        );
        let body = [parts.as_bytes(), content, b"\r\n--x--\r\n"].concat();
        let emulator = *self.front.emulator.lock().unwrap();
        let target = format!("/upload/storage/v1/b/{}/o?uploadType=multipart", self.bucket);
        let answer = wire::exchange(emulator, "POST", &target, "multipart/related; boundary=x", &body);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
}

impl Drop for GcsServer {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it has ended. All of these fail only where it has already.
        let _ = TcpStream::connect(self.address);
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// One thread for each connection, until its client closes it.
fn serve(listener: TcpListener, front: Arc<Front>, has_ended: Arc<AtomicBool>) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (front, has_ended) = (Arc::clone(&front), Arc::clone(&has_ended));
            if has_ended.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let mut reader = BufReader::new(&stream);
                while let Some(request) = Request::read(&mut reader)
                    && !has_ended.load(Ordering::Relaxed)
                {
                    // The emulator ends a connection where it fails.
                    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| front.answer(&request)));
                    let answer = answer.unwrap_or_else(|_| Response::new(503, "text/plain", "the emulator failed"));
                    let date = httpdate::fmt_http_date(front.tokens.now());
                    if answer.write(&date, &stream).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// The interpreter that has the emulator.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-tools");
    if tools.join("installed").exists() {
        return Some(tools.join("bin/python"));
    }
    let is_expected = std::env::var_os("PIXLSERV_EXPECT_GCS").is_some_and(|value| value == "1");
    assert!(!is_expected, "there is no emulator of Google Cloud Storage: see scripts/python-tools");
    say("skipped: there is no emulator of Google Cloud Storage (scripts/python-tools)");
    None
}

/// The key pair of the account.
pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pkcs8 = text(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ""));
        Keys {
            pkcs1: text(openssl(&["rsa", "-traditional"], &pkcs8)),
            public: openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER"], &pkcs8),
            pkcs8,
        }
    })
}

/// Runs openssl, and gives it this to read.
pub(crate) fn openssl(arguments: &[&str], input: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed (scripts/test)");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
