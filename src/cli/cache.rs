//! `pixlserv cache`: a look into the cache, and a hand in it, while servers use it.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use argh::FromArgs;

use super::{describe, index, load, say, storage};
use crate::config::{Config, IndexChoice};
use crate::index::Record;
use crate::store::cache::Shelf;
use crate::transform::SourcePath;

/// Look into the cache, or empty it, also while servers run.
#[derive(FromArgs)]
#[argh(subcommand, name = "cache")]
pub(super) struct Arguments {
    /// configuration of the server; without it, the cache in the folder data, or that of the bucket in the environment
    #[argh(option)]
    config: Option<PathBuf>,

    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Stats(Stats),
    List(List),
    Purge(Purge),
    Clear(Clear),
    Verify(Verify),
}

/// Say how much is cached.
#[derive(FromArgs)]
#[argh(subcommand, name = "stats")]
struct Stats {}

/// List the answers of images whose path begins with PREFIX.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct List {
    /// such as blog/2014/ (default: all)
    #[argh(positional, default = "String::new()")]
    prefix: String,
}

/// Remove all answers of one image; what is being made of it is not kept.
#[derive(FromArgs)]
#[argh(subcommand, name = "purge")]
struct Purge {
    /// path of the image, as in a URL
    #[argh(positional)]
    path: String,
}

/// Remove all answers.
#[derive(FromArgs)]
#[argh(subcommand, name = "clear")]
struct Clear {}

/// Read every file, and remove what is damaged or does not belong.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
struct Verify {}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = load(arguments.config.as_deref())?;
    let shelf = open(&config)?;
    match &arguments.command {
        Command::Stats(_) => stats(&shelf, &config),
        Command::List(list) => print_list(&shelf, &list.prefix),
        Command::Purge(purge) => purge_path(&shelf, &purge.path),
        Command::Clear(_) => clear(&shelf),
        Command::Verify(_) => verify(&shelf),
    }
}

/// Nothing is made where no server has ever kept anything: the path is more likely wrong.
fn open(config: &Config) -> Result<Shelf, String> {
    let bucket = storage::bucket(config)?;
    let is_there = match (&bucket, &config.index.0) {
        (None, _) => config.data_path.join("cache").exists(),
        (Some(_), IndexChoice::Embedded) => index::embedded_path(config).exists(),
        (Some(_), IndexChoice::Redis(_)) => true,
    };
    if !is_there {
        return Err(format!(
            "there is no cache in {} yet; name the configuration of the server with --config, and run from its folder",
            config.data_path.display()
        ));
    }
    Shelf::open(&storage::place(config, bucket.as_ref()), index::open(config)?).map_err(|error| describe(&error))
}

fn stats(shelf: &Shelf, config: &Config) -> Result<(), String> {
    let totals = shelf.totals().map_err(|error| describe(&error))?;
    let limit = match config.cache.limit_bytes {
        0 => "none".to_owned(),
        limit => format!("{}, then the {} go", size(limit), config.cache.strategy.describe()),
    };
    let place = match config.storage.0.bucket() {
        Some(bucket) => format!("bucket    {bucket}, under cache/"),
        None => format!("folder    {}", config.data_path.join("cache").display()),
    };
    say(format!("{place}\nanswers   {}\nsize      {}\nlimit     {limit}\n", totals.records, size(totals.bytes)))?;
    // Redis numbers purges by their time.
    if config.index.0 == IndexChoice::Embedded { say(format!("purges    {}\n", shelf.generation())) } else { Ok(()) }
}

/// One line an answer: last use, number of uses, bytes, what was done, image.
fn print_list(shelf: &Shelf, prefix: &str) -> Result<(), String> {
    let mut written = Ok(());
    let listed = shelf.list(prefix, |record| {
        written = say(line(record));
        written.is_ok()
    });
    listed.map_err(|error| describe(&error))?;
    written
}

fn line(record: &Record) -> String {
    let since = Duration::from_micros(u64::try_from(record.last_access_us).unwrap_or(0));
    let used = httpdate::fmt_http_date(UNIX_EPOCH + since);
    let Record { count, bytes, description, source, .. } = record;
    format!("{used}  {count:>8}  {bytes:>9}  {description:<24}  {source}\n")
}

fn purge_path(shelf: &Shelf, path: &str) -> Result<(), String> {
    let source = SourcePath::new(path).map_err(|error| error.to_string())?;
    let n_removed = shelf.purge(source.as_str()).map_err(|error| describe(&error))?;
    match n_removed {
        0 => say(format!("nothing was cached of {source}; what is being made of it will not be kept\n")),
        1 => say(format!("removed 1 answer of {source}\n")),
        n => say(format!("removed {n} answers of {source}\n")),
    }
}

fn clear(shelf: &Shelf) -> Result<(), String> {
    let cleared = shelf.clear().map_err(|error| describe(&error))?;
    say(format!("removed {} answers, {}\n", cleared.records, size(cleared.bytes)))
}

fn verify(shelf: &Shelf) -> Result<(), String> {
    let report = shelf.verify().map_err(|error| describe(&error))?;
    say(format!("{} answers are as they should be\n", report.n_good))?;
    if report.is_clean() {
        return Ok(());
    }
    Err(format!(
        "removed {} answers with a missing or damaged file, {} files that no answer has, {} unfinished files",
        report.n_bad, report.n_orphans, report.n_unfinished
    ))
}

#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
fn size(bytes: u64) -> String {
    format!("{bytes} bytes ({:.1} MB)", bytes as f64 / 1e6)
}
