//! `pixlserv check`: is a configuration valid, and what does it mean?

use std::path::PathBuf;

use argh::FromArgs;

use super::{accept, describe, say};
use crate::config::{Config, Environment};

/// Validate a configuration and explain it.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(super) struct Arguments {
    /// the YAML file
    #[argh(positional)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = Config::load(&arguments.config, &Environment::of_process()).map_err(|error| describe(&error))?;
    let notes: String = config.unsupported().iter().map(|sentence| format!("note: {sentence}\n")).collect();
    say(format!("{}\n{notes}", config.explain()))?;
    accept(&config)
}
