//! The `ciliate` binary; all it does is in the library, which the documentation is made from too.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ciliate_cli::main(env::args_os().collect())
}
