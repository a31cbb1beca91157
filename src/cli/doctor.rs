//! What `pixlserv check` looks at beside the configuration: whether storage, index, cache, watermarks, addresses and limits are
//! there and can be used, and what an operator should mend. It leaves nothing behind, and makes nothing that a start would
//! make: it may be run by root for a server that is another user's.

use std::fmt;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::statvfs;
use rustix::process::{Resource, geteuid, getrlimit};

use super::{assemble, describe, index, storage};
use crate::config::{Config, IndexChoice, ListenAddress, StorageChoice};
use crate::index::Index;
use crate::pipeline::codec;
use crate::service::Stamps;
use crate::simd::Level;
use crate::store::objects::{self, Objects};
use crate::store::{LocalStorage, Storage};
use crate::transform::{SourcePath, Transformation};

/// Free space below which a disk counts as nearly full.
const LITTLE_SPACE_BYTES: u64 = 256 << 20;
/// Open files beside connections.
const OTHER_FILES: u64 = 1200;

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) grade: Grade,
    text: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    Good,
    /// The server runs, but somebody should look at it.
    Doubtful,
    /// The server does not start, or answers errors.
    Bad,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok",
            Grade::Doubtful => "LOOK",
            Grade::Bad => "MEND",
        };
        write!(f, "{grade:<5} {}", self.text)
    }
}

fn good(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Good, text: text.into() }
}

fn doubtful(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Doubtful, text: text.into() }
}

fn bad(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Bad, text: text.into() }
}

/// Looks at everything that a configuration names.
pub(super) fn examine(config: &Config, level: Level) -> Vec<Finding> {
    let mut findings = Vec::new();
    if geteuid().is_root() {
        findings.push(doubtful(
            "this is root, who may do everything: run it as the user of the server to see what that one may do",
        ));
    }
    let (index, finding) = open_index(config);
    findings.push(finding);
    let storage = match storage::bucket(config) {
        Ok(bucket) => open_storage(config, bucket.as_ref(), index.as_ref(), &mut findings),
        Err(message) => {
            findings.push(bad(format!("storage: {message}")));
            None
        }
    };
    findings.push(writable("data-path", &config.data_path));
    findings.extend(space(config));
    if let Some(storage) = storage {
        watermarks(config, &*storage, level, &mut findings);
    }
    fonts(config, &mut findings);
    findings.extend(config.listen.iter().chain(&config.metrics_listen).map(address));
    findings.extend(access(config, index.as_ref()));
    findings.push(open_files(config));
    findings.extend(accelerated(config));
    findings.extend(assemble::advice(config).into_iter().map(doubtful));
    findings
}

/// The index, if it can be had without making it.
fn open_index(config: &Config) -> (Option<Arc<dyn Index>>, Finding) {
    if config.index.0 == IndexChoice::Embedded {
        let path = index::embedded_path(config);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return (None, good(format!("index: {} is made at the first start", path.display())));
            }
            // Opening it would leave files of ours beside it, which that user could not write.
            Ok(status) if status.uid() != geteuid().as_raw() => {
                let text = format!("index: {} belongs to user {}, and was not opened", path.display(), status.uid());
                return (None, doubtful(text));
            }
            _ => {}
        }
    }
    let index = match index::open(config) {
        Ok(index) => index,
        Err(message) => return (None, bad(format!("index: {message}"))),
    };
    match index.totals() {
        Ok(totals) => {
            let text = format!("index: {} cached answers of {} bytes are known", totals.records, totals.bytes);
            (Some(index), good(text))
        }
        Err(error) => (None, bad(format!("index: {}", describe(&error)))),
    }
}

fn open_storage(
    config: &Config,
    bucket: Option<&Arc<dyn Objects>>,
    index: Option<&Arc<dyn Index>>,
    findings: &mut Vec<Finding>,
) -> Option<Arc<dyn Storage>> {
    let Some(bucket) = bucket else {
        findings.push(writable("local-path", &config.local_path));
        if !config.local_path.is_dir() {
            return None;
        }
        return LocalStorage::open(&config.local_path).map(|storage| Arc::new(storage) as Arc<dyn Storage>).ok();
    };
    let reading = objects::verify_reading(&**bucket);
    let writing = reading.is_ok().then(|| objects::verify_writing(&**bucket));
    findings.push(match (&reading, &writing) {
        (Err(error), _) => bad(format!("storage: {} cannot be read: {}", config.storage.1, describe(error))),
        (_, Some(Err(error))) if config.cache.is_enabled => {
            bad(format!("storage: {} cannot be written: {}", config.storage.1, describe(error)))
        }
        (_, Some(Err(error))) => doubtful(format!("storage: uploads are answered 502: {}", describe(error))),
        _ => good("storage: an object was stored, read and removed"),
    });
    // Opening it would make its folder for work, or leave files of ours in one that is another's.
    let work = config.data_path.join("work");
    let is_ours = fs::metadata(&work).is_ok_and(|status| status.uid() == geteuid().as_raw());
    match (reading, index) {
        (Ok(()), Some(index)) if is_ours => storage::in_bucket(config, bucket, index).ok(),
        _ => {
            let has_marks = config.catalog.named.values().any(|transformation| !transformation.watermarks.is_empty());
            if has_marks {
                findings.push(doubtful("watermarks: not looked at; the log of a start says which are missing"));
            }
            None
        }
    }
}

/// Whether files can be made in a folder; or the folder itself, if it is not there yet.
fn writable(key: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    if !folder.exists() {
        let parent = folder.ancestors().skip(1).find(|parent| parent.as_os_str().is_empty() || parent.exists());
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return match tempfile::tempfile_in(parent) {
            Ok(_) => good(format!("{key}: {shown} is made at the first start")),
            Err(error) => {
                bad(format!("{key}: {shown} is not there, and cannot be made in {}: {error}", parent.display()))
            }
        };
    }
    if !folder.is_dir() {
        return bad(format!("{key}: {shown} is no folder"));
    }
    if let Err(error) = fs::read_dir(folder) {
        return bad(format!("{key}: {shown} cannot be read: {error}"));
    }
    match tempfile::tempfile_in(folder) {
        Ok(_) => good(format!("{key}: {shown} can be read and written")),
        Err(error) if key == "local-path" => {
            doubtful(format!("{key}: {shown} cannot be written, uploads are answered 5xx: {error}"))
        }
        Err(error) => bad(format!("{key}: {shown} cannot be written: {error}")),
    }
}

/// Whether disks have room.
fn space(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut folders = vec![("data-path", &config.data_path)];
    if config.storage.0 == StorageChoice::Local {
        folders.push(("local-path", &config.local_path));
    }
    for (key, folder) in folders {
        let Ok(status) = statvfs(folder) else {
            continue;
        };
        let free = status.f_bavail.saturating_mul(status.f_frsize);
        let megabytes = free >> 20;
        findings.push(if free < LITTLE_SPACE_BYTES {
            doubtful(format!("{key}: only {megabytes} MB are free where {} is", folder.display()))
        } else {
            good(format!("{key}: {megabytes} MB are free"))
        });
        if status.f_files > 0 && status.f_favail < 10_000 {
            findings.push(doubtful(format!("{key}: only {} more files can be made", status.f_favail)));
        }
    }
    if config.cache.is_enabled && config.cache.limit_bytes == 0 {
        findings.push(doubtful("cache.limit: there is none, so that the cache grows until the disk is full"));
    }
    findings
}

/// Whether the watermarks of all transformations can be drawn.
fn watermarks(config: &Config, storage: &dyn Storage, level: Level, findings: &mut Vec<Finding>) {
    for (name, transformation) in &config.catalog.named {
        if transformation.watermarks.is_empty() {
            continue;
        }
        let name = name.as_str();
        findings.push(match drawable(storage, transformation, level) {
            Ok(n_watermarks) => good(format!("transformation {name}: {n_watermarks} watermarks can be drawn")),
            Err(reason) => bad(format!("transformation {name} is answered 500: {reason}")),
        });
    }
}

fn drawable(storage: &dyn Storage, transformation: &Transformation, level: Level) -> Result<usize, String> {
    Stamps::look_for_watermarks(storage, transformation).map_err(|error| describe(&error))?;
    let content = |source: &SourcePath| storage.find(source).and_then(crate::store::Found::read);
    for watermark in &transformation.watermarks {
        let source = &watermark.source;
        let (content, _) = content(source).map_err(|error| describe(&error))?;
        codec::check(level, &content).map_err(|error| format!("{source}: {error}"))?;
    }
    Ok(transformation.watermarks.len())
}

/// Those that could not be used have stopped the reading of the configuration.
fn fonts(config: &Config, findings: &mut Vec<Finding>) {
    let texts = config.catalog.named.values().flat_map(|transformation| &transformation.texts);
    let mut paths: Vec<&Path> = texts.map(|text| text.font.path()).collect();
    paths.sort_unstable();
    paths.dedup();
    findings.extend(paths.into_iter().map(|path| good(format!("font {} can be used", path.display()))));
}

/// Whether an address can be listened on. A socket file is not touched.
fn address(address: &ListenAddress) -> Finding {
    match address {
        ListenAddress::Tcp(tcp) => match TcpListener::bind(tcp) {
            Ok(_) => good(format!("address {address} is free")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                doubtful(format!("address {address} is in use, by a running server perhaps"))
            }
            Err(error) => bad(format!("address {address} cannot be used: {error}")),
        },
        ListenAddress::Unix(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match fs::metadata(folder) {
                Ok(status) if status.is_dir() => match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
                    Ok(()) => good(format!("address {address}: its folder can be written")),
                    Err(error) => bad(format!("address {address}: its folder cannot be written: {error}")),
                },
                Ok(_) => bad(format!("address {address}: {} is no folder", folder.display())),
                // systemd makes it (RuntimeDirectory).
                Err(error) => doubtful(format!("address {address}: {}: {error}", folder.display())),
            }
        }
    }
}

/// Whether those who should may, and those who should not may not.
fn access(config: &Config, index: Option<&Arc<dyn Index>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let needs_key = config.authorisation.get || config.authorisation.upload || config.upload.requires_file_signature;
    if let Some(Ok(keys)) = index.map(|index| index.keys()) {
        findings.push(if needs_key && keys.is_empty() {
            bad("API keys: one is needed, and there is none: `pixlserv api-key add` makes one")
        } else {
            good(format!("API keys: {}", keys.len()))
        });
    }
    if !config.authorisation.upload && !config.upload.requires_file_signature {
        findings.push(doubtful("authorisation.upload is No: whoever reaches the server may upload"));
    }
    findings
}

fn open_files(config: &Config) -> Finding {
    let wanted = u64::from(config.front_door.max_connections) + OTHER_FILES;
    match getrlimit(Resource::Nofile).maximum {
        Some(files) if files < wanted => doubtful(format!(
            "open files: {files} are allowed (ulimit -Hn), http.max-connections wants {wanted}; fewer connections are taken then"
        )),
        _ => good(format!("open files: enough for {} connections", config.front_door.max_connections)),
    }
}

/// nginx must reach the files that it is to send.
fn accelerated(config: &Config) -> Option<Finding> {
    config.cache.x_accel_redirect.as_ref()?;
    let cache = std::path::absolute(config.data_path.join("cache")).ok()?;
    let closed = cache
        .ancestors()
        .find(|folder| fs::metadata(folder).is_ok_and(|status| status.permissions().mode() & 0o011 == 0));
    Some(match closed {
        Some(folder) => bad(format!(
            "cache.x-accel-redirect: {} is open to its owner alone, so that nginx cannot read the cache",
            folder.display()
        )),
        None => {
            good("cache.x-accel-redirect: the folders of the cache are open to their groups, of which nginx must be")
        }
    })
}
