//! What a server has kept: the files below its `data-path`, its index, and what it says at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use pixlserv::index::{Record, SqliteIndex};
use pixlserv::store::cache::{Place, Shelf};
use pixlserv::transform::VariantId;

use crate::server::{PATIENCE, Server, poll, program};

/// How many images came from where, as the server says at its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) made: u64,
    pub(crate) shared: u64,
    pub(crate) from_disk: u64,
    pub(crate) from_memory: u64,
}

impl Counts {
    /// Ends the server and reads its last line.
    pub(crate) fn at_the_end_of(server: &mut Server) -> Self {
        let log = server.stop();
        let line = log.lines().find_map(|line| line.split_once("stopped: ")).expect("no last line").1;
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [made, shared, from_disk, from_memory] = numbers[..] else { panic!("{line}") };
        Self { made, shared, from_disk, from_memory }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.made + self.shared + self.from_disk + self.from_memory
    }
}

/// The files below a folder of a cache by their names in it, with their sizes; also those that are being written. A
/// file that goes meanwhile may be missing or not.
pub(crate) fn files(cache: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for part in fs::read_dir(cache).into_iter().flatten().flatten() {
        for file in fs::read_dir(part.path()).into_iter().flatten().flatten() {
            if let Ok(metadata) = file.metadata() {
                let name = format!("{}/{}", part.file_name().display(), file.file_name().display());
                files.insert(name, metadata.len());
            }
        }
    }
    files
}

/// All records of the index.
pub(crate) fn records(data: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let take = |record: &Record| {
        records.push(record.clone());
        true
    };
    let index = Arc::new(SqliteIndex::open(&data.join("index.sqlite")).unwrap());
    Shelf::open(&Place::Folder { data_path: data.to_owned(), fsync: false }, index).unwrap().list("", take).unwrap();
    records
}

/// The files that the index knows, with their sizes.
pub(crate) fn recorded(data: &Path) -> BTreeMap<String, u64> {
    let name = |record: &Record| {
        let id = VariantId(record.id).to_string();
        format!("{}/{}.{}", &id[..2], &id[2..], record.extension)
    };
    records(data).iter().map(|record| (name(record), record.bytes)).collect()
}

/// Waits until what is on disk is what the index knows, and has `n` files if that is given.
pub(crate) fn settle(server: &Server, n: Option<usize>) -> BTreeMap<String, u64> {
    let (data, cache) = (server.data(), server.data().join("cache"));
    let settled = poll(Instant::now() + PATIENCE, || {
        let files = files(&cache);
        (n.is_none_or(|n| n == files.len()) && files == recorded(&data)).then_some(files)
    });
    settled.unwrap_or_else(|| {
        let files: BTreeSet<String> = files(&cache).into_keys().collect();
        let recorded: BTreeSet<String> = recorded(&data).into_keys().collect();
        let differing: Vec<&String> = files.symmetric_difference(&recorded).take(5).collect();
        let log = server.log_of_events();
        panic!("{} files, {} records, wanted {n:?}; such as {differing:?}\n{log}", files.len(), recorded.len());
    })
}

/// `pixlserv cache …` with the configuration of the server.
pub(crate) fn command(server: &Server, arguments: &[&str]) -> Output {
    let configuration = server.configuration_file();
    program().arg("cache").arg("--config").arg(configuration).args(arguments).output().unwrap()
}
