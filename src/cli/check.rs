//! `pixlserv check`: is a configuration valid, and what does it mean?

use std::path::PathBuf;

use argh::FromArgs;

use super::{accept, level, load, say, storage};

/// Validate a configuration and explain it.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(super) struct Arguments {
    /// the YAML file
    #[argh(positional)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = load(Some(&arguments.config))?;
    say(format!("{}\n", config.explain()))?;
    level()?;
    accept(&config)?;
    storage::bucket(&config).map(drop)
}
