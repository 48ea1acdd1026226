//! Signs of life on standard error while something takes long.

use ciliate_api::settings::{Seconds, SettingValue};
use std::{
    cell::Cell,
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

/// A line on the terminal that says what is waited for; nothing where standard error is no terminal.
pub struct Waiting {
    what: &'static str,
    start: Instant,
    shown: Cell<bool>,
}

/// What is done sooner needs no line.
const QUIET: Duration = Duration::from_millis(500);

impl Waiting {
    pub fn new(what: &'static str) -> Self {
        Self { what, start: Instant::now(), shown: Cell::new(false) }
    }

    pub fn tick(&self, detail: &str) {
        let elapsed = self.start.elapsed();
        if elapsed < QUIET || !stderr().is_terminal() {
            return;
        }
        let line: String = format!("{} ({} s): {detail}", self.what, elapsed.as_secs());
        let short: String = line.lines().next().unwrap_or_default().chars().take(100).collect();
        self.shown.set(write!(stderr(), "\r\u{1b}[K{short}").is_ok());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shown.get() {
            // The line is only a courtesy; where it cannot be wiped nothing is lost.
            write!(stderr(), "\r\u{1b}[K").ok();
        }
    }
}

/// Reads `60s`, `10m`, `2h` or a number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    Seconds::read(text)
        .map(|seconds| seconds.0)
        .map_err(|expected| format!("{text:?} is no duration: write {expected}"))
}
