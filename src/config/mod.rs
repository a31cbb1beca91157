//! The configuration: the YAML file (`file`) and the environment become a [`Config`] whose every field is valid.
//! Rooms own the types of their options; here they are only assembled.

mod bounds;
mod cache;
mod drawn;
mod environment;
mod error;
mod explain;
mod file;
mod fonts;
mod list;
mod log;
mod memory;
mod network;
mod number;
#[cfg(test)]
mod tests;
mod transformations;
mod value;
mod yaml;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::access::{AddressRange, Authorisation, RequestsPerMinute};
use crate::plan::{Jpeg, JpegQuality};
use crate::transform::{Catalog, MaxScale, Rules};
use error::Step;
use file::{AuthorisationSection, CacheSection, ConfigFile, HttpSection, LogSection};
use memory::Shares;

pub use bounds::Bound;
pub use cache::Cache;
pub use environment::{Environment, IndexChoice, Secret, StorageChoice};
pub use error::{ConfigError, Fault, Position};
pub use log::{Log, LogFormat, LogLevel};
pub use memory::MemoryLimit;
pub use network::{ListenAddress, Loop, Origin, UrlFolder};

/// Larger files are no configurations.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A configuration: what the file and the environment mean.
#[derive(Clone, Debug)]
pub struct Config {
    /// Named transformations, and what clients may ask for beside them.
    pub catalog: Catalog,
    /// How JPEG answers are encoded.
    pub jpeg: Jpeg,
    /// Most pixels of a source.
    pub max_source_pixels: u64,
    /// Seconds that clients may keep an answer.
    pub max_age_s: u32,
    /// The folder of the images, for local storage.
    pub local_path: PathBuf,
    /// The folder of what the server itself keeps.
    pub data_path: PathBuf,
    /// Where connections come in.
    pub listen: Vec<ListenAddress>,
    /// Where images are, and why there.
    pub storage: (StorageChoice, String),
    /// Seconds that an object storage may take to answer.
    pub storage_timeout_s: u32,
    /// Where keys and cache records are, and why there.
    pub index: (IndexChoice, String),
    /// Bounds of the front door.
    pub front_door: FrontDoor,
    /// Threads and memory of the work.
    pub work: Work,
    /// Memory that all of the process may take, if there is a limit.
    pub memory_limit: Option<MemoryLimit>,
    /// Settings of uploads.
    pub upload: Upload,
    /// Which operations need an API key.
    pub authorisation: Authorisation,
    /// Settings of the cache.
    pub cache: Cache,
    /// Requests per minute and address; 0 is no limit.
    pub throttling_rate: RequestsPerMinute,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<AddressRange>,
    /// Sites whose scripts may read answers.
    pub cors_allow_origins: Vec<Origin>,
    /// Where `/metrics` is answered; with the rest if empty.
    pub metrics_listen: Vec<ListenAddress>,
    /// Whether answers tell how long their stages took.
    pub debug_headers: bool,
    /// How the server tells what it does.
    pub log: Log,
}

/// Bounds of the front door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontDoor {
    /// Connections open at once.
    pub max_connections: u32,
    /// Connections open at once from one address; 0 is no limit.
    pub max_connections_per_address: u32,
    /// Requests that run or wait for a thread that may answer them.
    pub max_requests: u32,
    /// Images that wait to be made.
    pub max_queue: u32,
    /// Seconds that an image may wait for its turn to be made.
    pub queue_timeout_s: u32,
    /// Seconds until work on a request must have begun.
    pub request_timeout_s: u32,
    /// Seconds for a whole request head.
    pub head_timeout_s: u32,
    /// Seconds that a connection may wait between requests.
    pub idle_timeout_s: u32,
    /// Seconds that a client may take nothing of an answer.
    pub write_timeout_s: u32,
    /// Bytes a second that a client must take of an answer, on average over `write_timeout_s`.
    pub min_write_rate: u64,
    /// Seconds that a client may send nothing of a body.
    pub read_timeout_s: u32,
    /// Bytes a second that a client must send of a body, on average over `read_timeout_s`.
    pub min_read_rate: u64,
    /// Seconds that all of a body may take.
    pub body_timeout_s: u32,
    /// Uploads that are received at once.
    pub max_uploads: u32,
    /// Bytes of answers that wait for slow clients.
    pub max_unsent_bytes: u64,
    /// Seconds that running requests have after SIGTERM.
    pub drain_timeout_s: u32,
    /// Bytes of a request head.
    pub max_head_bytes: u32,
    /// Bytes of a header line.
    pub max_line_bytes: u32,
    /// Header lines.
    pub max_headers: u32,
    /// Bytes of a request target.
    pub max_url_bytes: u32,
    /// Bytes of a body that nobody wants and that are read, so that the connection may live.
    pub max_skip_bytes: u64,
    /// Seconds that such a body has to come.
    pub skip_timeout_s: u32,
    /// Bytes read and dropped before a connection is closed whose client may still be sending.
    pub max_linger_bytes: u64,
    /// Seconds that such a client has.
    pub linger_timeout_s: u32,
    /// Seconds that a connection must have waited before it makes room for another.
    pub eviction_age_s: u32,
    /// Whether every request is logged.
    pub access_log: bool,
    /// Which loop takes connections.
    pub r#loop: Loop,
}

impl Default for FrontDoor {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 0,
            max_requests: 10_000,
            max_queue: 256,
            queue_timeout_s: 10,
            request_timeout_s: 15,
            head_timeout_s: 10,
            idle_timeout_s: 15,
            write_timeout_s: 10,
            min_write_rate: 2048,
            read_timeout_s: 10,
            min_read_rate: 2048,
            body_timeout_s: 600,
            max_uploads: 512,
            max_unsent_bytes: 256 << 20,
            drain_timeout_s: 30,
            max_head_bytes: 16 * 1024,
            max_line_bytes: 8 * 1024,
            max_headers: 64,
            max_url_bytes: 4096,
            max_skip_bytes: 64 << 10,
            skip_timeout_s: 1,
            max_linger_bytes: 64 << 20,
            linger_timeout_s: 1,
            eviction_age_s: 1,
            access_log: true,
            r#loop: Loop::Epoll,
        }
    }
}

/// Threads and memory of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Threads that wait for disks and networks; 0 for two per core and two more.
    pub io_threads: u32,
    /// Threads that decode, resize and encode; 0 for one per core.
    pub pixel_threads: u32,
    /// Bytes that pixels may take, over all requests.
    pub memory_bytes: u64,
}

/// Settings of uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Whether the answer comes before the image is stored.
    pub is_async: bool,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Most pixels.
    pub max_pixels: u64,
    /// Whether a signature must cover the file.
    pub requires_file_signature: bool,
}

impl Default for Upload {
    fn default() -> Self {
        Self { is_async: false, max_file_bytes: 5 << 20, max_pixels: 5_000_000, requires_file_signature: false }
    }
}

impl Default for Config {
    /// What an empty file in an empty environment means.
    fn default() -> Self {
        Self::parse("", Path::new("."), &Environment::default()).expect("nothing is wrong with nothing")
    }
}

impl Config {
    /// Reads a configuration.
    /// # Errors
    /// If the file cannot be read, or something in it or in the environment is wrong; names the place.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let unreadable = |source| ConfigError::Unreadable { file: file.clone(), source };
        let mut bytes = Vec::new();
        let handle = std::fs::File::open(path).map_err(unreadable)?;
        handle.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge { file, max: MAX_FILE_BYTES });
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            let fault = Fault { position: None, key: String::new(), message: "is not UTF-8".to_owned() };
            ConfigError::Invalid { file: file.clone(), fault }
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder, environment).map_err(|error| match error {
            ConfigError::Invalid { fault, .. } => ConfigError::Invalid { file: file.clone(), fault },
            error => error,
        })
    }

    /// Reads the text of a configuration whose file lies in `folder`.
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, folder: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let invalid = |fault| ConfigError::Invalid { file: "configuration".to_owned(), fault };
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let file: ConfigFile = yaml::read::<Option<ConfigFile>>(text).map_err(invalid)?.unwrap_or_default();
        let named = transformations::named(file.transformations.unwrap_or_default(), text, folder).map_err(invalid)?;
        let rules = Rules {
            allow_custom: flag(file.allow_custom_transformations, true),
            allow_scale: flag(file.allow_custom_scale, true),
            allow_originals: flag(file.allow_originals, false),
            max_scale: file.max_scale.map_or_else(MaxScale::default, |scale| scale.0),
            max_output_side: number(file.max_output_side, 8192),
        };
        let upload = Upload::default();
        let memory_limit = match file.memory_limit.map_or(0, |limit| limit.0.0) {
            bytes @ 1.. => Some(MemoryLimit { bytes, source: "memory-limit" }),
            0 => environment.memory_limit.map(|bytes| MemoryLimit { bytes, source: "the cgroup" }),
        };
        let pixel_threads = number(file.pixel_threads, 0);
        let n_threads = if pixel_threads > 0 { pixel_threads as usize } else { environment.n_cores };
        let head_bytes = file.http.as_ref().and_then(|http| http.max_head_size);
        let shares = Shares::new(memory_limit, n_threads, number(head_bytes, FrontDoor::default().max_head_bytes));
        let local_path = file.local_path.map_or_else(|| PathBuf::from("local-images"), |path| path.0);
        Ok(Self {
            catalog: Catalog { named, rules },
            jpeg: Jpeg {
                quality: file.jpeg_quality.map_or_else(JpegQuality::default, |quality| quality.0),
                progressive: flag(file.jpeg_progressive, false),
            },
            max_source_pixels: number(file.max_source_pixels, 100_000_000),
            max_age_s: number(file.max_age, 86_400),
            storage: environment.storage(&local_path),
            local_path,
            storage_timeout_s: number(file.storage_timeout, 5),
            data_path: file.data_path.map_or_else(|| PathBuf::from("data"), |path| path.0),
            listen: match file.listen {
                Some(addresses) if addresses.0.is_empty() => {
                    let message = "must name an address at least, such as 127.0.0.1:3000".to_owned();
                    return Err(invalid(yaml::fault_at(text, &[Step::Key("listen")], message)));
                }
                Some(addresses) => addresses.0,
                None => vec![environment.listen()?],
            },
            index: environment.index()?,
            front_door: front_door(file.http.unwrap_or_default(), shares),
            work: Work {
                io_threads: number(file.io_threads, 0),
                pixel_threads,
                memory_bytes: number(file.work_memory, shares.work),
            },
            memory_limit,
            upload: Upload {
                is_async: flag(file.async_uploads, upload.is_async),
                max_file_bytes: number(file.upload_max_file_size, upload.max_file_bytes),
                max_pixels: number(file.upload_max_pixels, upload.max_pixels),
                requires_file_signature: flag(file.require_file_signature, upload.requires_file_signature),
            },
            authorisation: authorisation(file.authorisation.unwrap_or_default()),
            cache: cache_of(file.cache.unwrap_or_default(), shares),
            throttling_rate: RequestsPerMinute(number(file.throttling_rate, 60)),
            trusted_proxies: file.trusted_proxies.map(|list| list.0).unwrap_or_default(),
            cors_allow_origins: file.cors_allow_origins.map(|list| list.0).unwrap_or_default(),
            metrics_listen: file.metrics_listen.map(|list| list.0).unwrap_or_default(),
            debug_headers: flag(file.debug_headers, false),
            log: log_of(file.log.unwrap_or_default()),
        })
    }
}

fn flag(value: Option<file::Flag>, default: bool) -> bool {
    value.map_or(default, |value| value.0.0)
}

fn number<T, const MIN: i64, const MAX: i64>(value: Option<number::Number<T, MIN, MAX>>, default: T) -> T {
    value.map_or(default, |value| value.0.0)
}

fn log_of(section: LogSection) -> Log {
    Log {
        format: section.format.map(|format| format.0).unwrap_or_default(),
        level: section.level.map(|level| level.0).unwrap_or_default(),
    }
}

fn front_door(section: HttpSection, shares: Shares) -> FrontDoor {
    let default = FrontDoor {
        max_uploads: shares.uploads,
        max_connections: shares.connections,
        max_unsent_bytes: shares.unsent,
        ..FrontDoor::default()
    };
    FrontDoor {
        max_connections: number(section.max_connections, default.max_connections),
        max_connections_per_address: number(section.max_connections_per_address, default.max_connections_per_address),
        max_requests: number(section.max_requests, default.max_requests),
        max_queue: number(section.max_queue, default.max_queue),
        queue_timeout_s: number(section.queue_timeout, default.queue_timeout_s),
        request_timeout_s: number(section.request_timeout, default.request_timeout_s),
        head_timeout_s: number(section.head_timeout, default.head_timeout_s),
        idle_timeout_s: number(section.idle_timeout, default.idle_timeout_s),
        write_timeout_s: number(section.write_timeout, default.write_timeout_s),
        min_write_rate: number(section.min_write_rate, default.min_write_rate),
        read_timeout_s: number(section.read_timeout, default.read_timeout_s),
        min_read_rate: number(section.min_read_rate, default.min_read_rate),
        body_timeout_s: number(section.body_timeout, default.body_timeout_s),
        max_uploads: number(section.max_uploads, default.max_uploads),
        max_unsent_bytes: number(section.max_unsent, default.max_unsent_bytes),
        drain_timeout_s: number(section.drain_timeout, default.drain_timeout_s),
        max_head_bytes: number(section.max_head_size, default.max_head_bytes),
        max_line_bytes: number(section.max_header_line, default.max_line_bytes),
        max_headers: number(section.max_headers, default.max_headers),
        max_url_bytes: number(section.max_url_length, default.max_url_bytes),
        max_skip_bytes: number(section.max_skip_size, default.max_skip_bytes),
        skip_timeout_s: number(section.skip_timeout, default.skip_timeout_s),
        max_linger_bytes: number(section.max_linger_size, default.max_linger_bytes),
        linger_timeout_s: number(section.linger_timeout, default.linger_timeout_s),
        eviction_age_s: number(section.eviction_age, default.eviction_age_s),
        access_log: flag(section.access_log, default.access_log),
        r#loop: section.r#loop.map_or(default.r#loop, |r#loop| r#loop.0),
    }
}

fn authorisation(section: AuthorisationSection) -> Authorisation {
    Authorisation { get: flag(section.get, false), upload: flag(section.upload, false) }
}

fn cache_of(section: CacheSection, shares: Shares) -> Cache {
    let default = Cache { memory_bytes: shares.cache, unwritten_bytes: shares.unwritten, ..Cache::default() };
    Cache {
        is_enabled: flag(section.enabled, default.is_enabled),
        limit_bytes: number(section.limit, default.limit_bytes),
        strategy: section.strategy.map_or(default.strategy, |strategy| strategy.0),
        memory_bytes: number(section.memory, default.memory_bytes),
        source_limit_bytes: number(section.source_limit, default.source_limit_bytes),
        unwritten_bytes: number(section.max_unwritten, default.unwritten_bytes),
        revalidate_s: number(section.revalidate, default.revalidate_s),
        fsync: flag(section.fsync, default.fsync),
        x_accel_redirect: section.x_accel_redirect.map(|folder| folder.0),
    }
}
