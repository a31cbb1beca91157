//! The command line: `run`, `check`, `api-key`, `cache`, `transform`. Only `main` exits; here is what it exits with.

mod api_key;
mod assemble;
mod cache;
mod check;
mod doctor;
mod index;
mod log;
mod reload;
mod run;
mod storage;
mod systemd;
mod transform;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::FromArgs;

use crate::config::{Config, Environment, StorageChoice};
use crate::service::chain as describe;
use crate::simd::Level;

/// Transform and serve images over HTTP.
#[derive(FromArgs)]
struct Arguments {
    /// print the version
    #[argh(switch)]
    version: bool,

    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    ApiKey(api_key::Arguments),
    Cache(cache::Arguments),
    Transform(transform::Arguments),
}

/// What `-` becomes before argh, which takes it for an option, sees it. No argument can hold a NUL.
const STANDARD_STREAM: &str = "\0-";

/// A command has not understood its arguments.
const WRONG_USAGE: u8 = 2;

/// Runs the program: 0 for success, 1 for a failure, 2 for wrong usage. Failures are told on standard error.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Result<Vec<String>, OsString> = arguments.skip(1).map(OsString::into_string).collect();
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(argument) => return wrong_usage(&format!("The argument {} is not UTF-8.", argument.display())),
    };
    let named = |argument: &str| if argument == "-" { STANDARD_STREAM.to_owned() } else { argument.to_owned() };
    let arguments: Vec<String> = arguments.iter().map(|argument| named(argument)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parsed = match Arguments::from_args(&["pixlserv"], &arguments) {
        Ok(parsed) => parsed,
        Err(exit) if exit.status.is_ok() => {
            return finish(say(&exit.output));
        }
        Err(exit) => return wrong_usage(&exit.output),
    };
    if parsed.version {
        return finish(say(concat!("pixlserv ", env!("CARGO_PKG_VERSION"), "\n")));
    }
    let result = match parsed.command {
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::ApiKey(arguments)) => api_key::run(&arguments),
        Some(Command::Cache(arguments)) => cache::run(&arguments),
        Some(Command::Transform(arguments)) => transform::run(&arguments),
        None => return wrong_usage("A command is needed: run, check, api-key, cache or transform."),
    };
    finish(result)
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pixlserv: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a configuration and the environment; without a file, the environment alone.
fn load(file: Option<&Path>) -> Result<Config, String> {
    let environment = Environment::of_process();
    let config = match file {
        Some(file) => Config::load(file, &environment),
        None => Config::parse("", Path::new("."), &environment),
    };
    config.map_err(|error| describe(&error))
}

/// The instructions that pixels are worked on with: the best that the processor has, or those of `PIXLSERV_SIMD`.
fn level() -> Result<Level, String> {
    let environment = Environment::of_process();
    match environment.simd() {
        None => Ok(Level::best()),
        Some(name) => Level::named(name).map_err(|error| format!("PIXLSERV_SIMD: {error}")),
    }
}

/// Refuses a configuration that asks for what must not be ignored.
fn accept(config: &Config) -> Result<(), String> {
    let mut refusals = config.refusals();
    refusals.extend(overlap(config));
    if refusals.is_empty() { Ok(()) } else { Err(refusals.join("\n")) }
}

/// What the server keeps for itself must not be reachable as an image, and images must not be taken for the cache.
fn overlap(config: &Config) -> Option<String> {
    if config.storage.0 != StorageChoice::Local {
        return None;
    }
    let (images, data) = (settled(&config.local_path), settled(&config.data_path));
    let shown = |path: &Path| path.display().to_string();
    if data.starts_with(&images) {
        return Some(format!(
            "data-path {} lies in local-path {}: what the server keeps there could be asked for as an image",
            shown(&config.data_path),
            shown(&config.local_path)
        ));
    }
    images.starts_with(data.join("cache")).then(|| {
        format!("local-path {} lies in the folder of the cache, {}", shown(&images), shown(&data.join("cache")))
    })
}

/// A path without links and dots, as far as it exists.
fn settled(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path
}

/// Writes to standard output, which may be closed or full.
fn say(text: impl AsRef<[u8]>) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
    written.map_err(|error| format!("cannot write to standard output: {error}"))
}

fn wrong_usage(message: &str) -> ExitCode {
    eprintln!("{}\nRun `pixlserv --help` for more.", message.trim_end());
    ExitCode::from(WRONG_USAGE)
}
