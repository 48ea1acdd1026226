//! The executable that container runtimes call: environment and standard input in, one JSON document out.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let mut input = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut input);
    let answer = ciliate_cni::answer(|name| std::env::var_os(name), read.map(|_| input));
    // A runtime that does not listen any more cannot be told so either.
    let _ = io::stdout().lock().write_all(answer.text.as_bytes());
    match answer.success {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
