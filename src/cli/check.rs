//! `pixlserv check`: is a configuration valid, and what does it mean?

use std::path::PathBuf;

use argh::FromArgs;

use super::{accept, load, say};

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
    let notes: String = config.unsupported().iter().map(|sentence| format!("note: {sentence}\n")).collect();
    say(format!("{}\n{notes}", config.explain()))?;
    accept(&config)
}
