//! `pixlserv check`: is a configuration valid, what does it mean, and is all there that it needs?

use std::path::PathBuf;

use argh::FromArgs;

use super::doctor::{self, Grade};
use super::{accept, level, load, say};

/// Validate a configuration and explain it, and look whether all that it needs is there: storage, index, watermarks, fonts,
/// addresses, limits.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(super) struct Arguments {
    /// the YAML file
    #[argh(positional)]
    config: PathBuf,

    /// look at the file alone, and touch nothing that it names
    #[argh(switch)]
    file_only: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = load(Some(&arguments.config))?;
    say(format!("{}\n", config.explain()))?;
    let level = level()?;
    accept(&config)?;
    if arguments.file_only {
        return Ok(());
    }
    let findings = doctor::examine(&config, level);
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    say(lines)?;
    match findings.iter().filter(|finding| finding.grade == Grade::Bad).count() {
        0 => Ok(()),
        1 => Err("there is one thing to mend".to_owned()),
        n_bad => Err(format!("there are {n_bad} things to mend")),
    }
}
