//! The agent's log: lines of text or JSON on standard error.

use ciliate_api::settings::{LogFormat, LogLevel};
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    filter::FilterFn,
    layer::{Layer as _, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// The least important level that is logged, as [`rank`] counts it.
static LEVEL: AtomicU8 = AtomicU8::new(2);

fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
        LogLevel::Trace => 4,
    }
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    let rank = match *metadata.level() {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        _ => 4,
    };
    rank <= LEVEL.load(Ordering::Relaxed)
}

pub fn set_level(level: LogLevel) {
    LEVEL.store(rank(level), Ordering::Relaxed);
}

/// A second call changes only the level.
pub fn start(level: LogLevel, format: LogFormat) {
    set_level(level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry();
    // Only the first subscriber of a process counts.
    let _ = match format {
        LogFormat::Text => {
            registry.with(lines.with_ansi(false).with_filter(FilterFn::new(wanted))).try_init()
        }
        LogFormat::Json => registry.with(lines.json().with_filter(FilterFn::new(wanted))).try_init(),
    };
}
