//! A receiver of logs that is a process of its own and can be stopped and started.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

pub struct Receiver {
    program: String,
    arguments: Vec<String>,
    running: Option<Child>,
}

impl Receiver {
    pub fn new(program: &str, arguments: &[String]) -> Self {
        Self { program: program.to_owned(), arguments: arguments.to_vec(), running: None }
    }

    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let started = command.spawn();
        self.running = Some(
            started.unwrap_or_else(|error| unreachable!("{}: {error}: run scripts/setup test", self.program)),
        );
    }

    /// As a person would, by SIGTERM.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // A test that failed leaves nothing behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
