//! The `pixlserv` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    pixlserv::cli::main(std::env::args_os())
}
