//! The way of an upload: may they, a file without a name that takes the bytes, a whole decode that proves them sound, a
//! name. The bytes are stored as they came.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::digest::{Context, SHA256};

use super::gate::Ticket;
use super::storing::One;
use super::{DecodeError, Service, ServiceError, StoreError, Wish};
use crate::access::{AccessError, ApiKey, FileDigest, Permission, Proof, SignatureError, random_digits};
use crate::index::KeyRecord;
use crate::metrics::{Stage, StageTimes, Stopwatch};
use crate::pipeline::{Limits, codec};
use crate::raster::{Format, Header};
use crate::store::Incoming;
use crate::transform::SourcePath;

/// How long a storage that is away may take to come back for uploads that were answered, and how often it is tried.
const ASYNC_PATIENCE: Duration = Duration::from_mins(5);
const ASYNC_PAUSE: Duration = Duration::from_secs(2);

/// Why an upload is refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has no image.
    #[error("missing image field")]
    MissingImage,
    /// Its file is too large.
    #[error("file too large, allowed: {limit} bytes")]
    FileTooLarge {
        /// The limit.
        limit: u64,
    },
    /// Its picture is too large, by its header.
    #[error("too many pixels: {pixels}, allowed: {limit}")]
    TooManyPixels {
        /// Width × height.
        pixels: u64,
        /// The limit.
        limit: u64,
    },
    /// It is not signed as it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// An upload that is being received. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    service: Arc<Service>,
    /// The key that it came with.
    key: Option<Arc<KeyRecord>>,
    file: Incoming,
    digest: Digest,
}

/// Of the file so far.
struct Digest(Context);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

/// What becomes of an upload: the path of the new image.
pub type Uploaded = Result<SourcePath, ServiceError>;

impl Upload {
    /// Begins an upload.
    /// # Errors
    /// If they may not, or the storage takes nothing.
    pub fn begin(service: &Arc<Service>, key: Option<&ApiKey>) -> Result<Self, ServiceError> {
        let key = service.access.permit(key, Permission::Upload)?;
        // Without a key there is no signature, so none that covers the file.
        if key.is_none() && service.upload.requires_file_signature {
            return Err(AccessError::Denied.into());
        }
        let file = service.storage.begin()?;
        Ok(Self { service: Arc::clone(service), key, file, digest: Digest(Context::new(&SHA256)) })
    }

    /// Takes the next bytes of the file.
    /// # Errors
    /// If it becomes too large, or the storage takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        let limit = self.service.upload.max_file_bytes;
        if self.file.n_bytes() + bytes.len() as u64 > limit {
            return Err(UploadError::FileTooLarge { limit }.into());
        }
        self.digest.0.update(bytes);
        Ok(self.file.write(bytes)?)
    }

    /// Believes that this file comes from the owner of the key, or not.
    /// # Errors
    /// If the signature is not what it must be.
    pub fn verify(&self, proof: &Proof) -> Result<(), ServiceError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let digest = self.digest.0.clone().finish();
        let file: FileDigest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let must_cover_file = self.service.upload.requires_file_signature;
        proof.verify(&key.secret, now_s(), &file, must_cover_file).map_err(|error| UploadError::from(error).into())
    }

    /// Proves the file to be an image, and stores it; `deliver` is told its path when it is stored, or when it is sound
    /// if uploads are asynchronous. If `wish` says no when its turn has come, nothing is done and nobody is told.
    pub fn finish(self, wish: Wish, deliver: impl FnOnce(Uploaded, StageTimes) + Send + 'static) {
        let service = Arc::clone(&self.service);
        let mut watch = Stopwatch::default();
        watch.enter(Stage::Queue);
        service.workshop.read(self.file.n_bytes(), move |entered| match entered {
            _ if !wish() => {}
            Err(busy) => deliver(Err(ServiceError::Busy(busy)), watch.take()),
            Ok(reading) => self.read(reading, watch, deliver),
        });
    }

    fn read(self, reading: Ticket, mut watch: Stopwatch, deliver: impl FnOnce(Uploaded, StageTimes) + Send + 'static) {
        watch.enter(Stage::Fetch);
        let probed = self.file.read().map_err(ServiceError::from).and_then(|content| {
            let header = probe(&content, &self.service)?;
            self.service.workshop.admits(header.streamed_bytes)?;
            Ok((content, header))
        });
        let (content, header) = match probed {
            Ok(probed) => probed,
            Err(error) => return deliver(Err(error), watch.take()),
        };
        watch.enter(Stage::Queue);
        let service = Arc::clone(&self.service);
        service.workshop.draw(header.streamed_bytes, move |entered| {
            watch.enter(Stage::Decode);
            let decoded = match &entered {
                Err(busy) => Err(ServiceError::Busy(*busy)),
                Ok(_) => codec::check(self.service.level, &content).map_err(ServiceError::from),
            };
            drop(content);
            drop((reading, entered));
            match decoded {
                Err(error) => deliver(Err(error), watch.take()),
                Ok(()) => self.store(header.format, watch, deliver),
            }
        });
    }

    fn store(self, format: Format, mut watch: Stopwatch, deliver: impl FnOnce(Uploaded, StageTimes) + Send + 'static) {
        let path = match new_path(format) {
            Ok(path) => path,
            Err(error) => return deliver(Err(error), watch.take()),
        };
        let service = Arc::clone(&self.service);
        // Whoever ends the server waits for those that are being stored.
        let storing = service.storing.begin();
        let threads = Arc::clone(&service.workshop.storing);
        threads.spawn_fifo(move || {
            // Where it cannot be stored now, or many wait already, it is not answered before it is.
            if service.upload.is_async && storing.is_one_of_few() && service.storage.check().is_ok() {
                deliver(Ok(path.clone()), watch.take());
                return self.store_answered(path, format, storing);
            }
            watch.enter(Stage::Store);
            let stored = self.file.store(&path, format);
            watch.stop();
            if stored.is_ok() {
                service.make_eagerly(&path);
            }
            deliver(stored.map(|()| path).map_err(ServiceError::from), watch.take());
            drop(storing);
        });
    }

    /// Stores what was answered already. A storage that is away has some time to come back; a thread of its own waits for
    /// that, of which there are few.
    fn store_answered(self, path: SourcePath, format: Format, storing: One) {
        let stored = self.file.store(&path, format);
        if !matches!(stored, Err(StoreError::Away { .. } | StoreError::TooSlow { .. })) {
            return self.end(&path, stored);
        }
        let wait = move || {
            let mut stored = stored;
            let deadline = Instant::now() + ASYNC_PATIENCE;
            while stored.is_err() && Instant::now() < deadline {
                thread::park_timeout(ASYNC_PAUSE);
                stored = self.file.store(&path, format);
            }
            self.end(&path, stored);
            drop(storing);
        };
        if let Err(error) = thread::Builder::new().name("upload".to_owned()).spawn(wait) {
            tracing::error!(%error, "an upload that was answered is lost: there is no thread for it");
        }
    }

    fn end(&self, path: &SourcePath, stored: Result<(), StoreError>) {
        match stored {
            Ok(()) => self.service.make_eagerly(path),
            Err(error) => tracing::error!("the upload {path} is lost: {}", super::chain(&error)),
        }
    }
}

/// Looks at the header. The limits of uploads count, and those of all images: what could not be shown is not stored.
fn probe(content: &[u8], service: &Service) -> Result<Header, ServiceError> {
    let limit = service.upload.max_pixels.min(service.limits.max_source_pixels);
    codec::probe(content, Limits { max_source_pixels: limit }).map_err(|error| match error {
        DecodeError::TooManyPixels { pixels, limit } => UploadError::TooManyPixels { pixels, limit }.into(),
        error => error.into(),
    })
}

/// A name that no other image has and nobody can guess: the time, 128 random bits, and what the bytes are.
fn new_path(format: Format) -> Result<SourcePath, ServiceError> {
    let random = random_digits().map_err(|_| ServiceError::NoRandomNumbers)?;
    let name = format!("{}-{random}.{}", now_s(), format.extension());
    Ok(SourcePath::new(&name).expect("digits, letters, a hyphen and a point"))
}

/// Seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
