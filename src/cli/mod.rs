//! The command line: `run`, `check`, `transform`. Only `main` exits; here is what it exits with.

mod check;
mod run;
mod transform;

use std::process::ExitCode;

use argh::FromArgs;

use crate::service::chain as describe;

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
    Transform(transform::Arguments),
}

/// A command has not understood its arguments.
const WRONG_USAGE: u8 = 2;

/// Runs the program: 0 for success, 1 for a failure, 2 for wrong usage. Failures are told on standard error.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parsed = match Arguments::from_args(&["pixlserv"], &arguments) {
        Ok(parsed) => parsed,
        Err(exit) if exit.status.is_ok() => {
            print!("{}", exit.output);
            return ExitCode::SUCCESS;
        }
        Err(exit) => return wrong_usage(&exit.output),
    };
    if parsed.version {
        println!("pixlserv {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let result = match parsed.command {
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Transform(arguments)) => transform::run(&arguments),
        None => return wrong_usage("A command is needed: run, check or transform."),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pixlserv: {message}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_usage(message: &str) -> ExitCode {
    eprintln!("{}\nRun `pixlserv --help` for more.", message.trim_end());
    ExitCode::from(WRONG_USAGE)
}
