//! How many files this process may have open.

use crate::settings::Settings;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A connection is two sockets.
const EACH: u64 = 2;
/// Listeners, maps, control connections, logs, pipes for large bodies, and what is accepted only to be refused.
const OTHERS: u64 = 1024;

/// Raises the limit to what the most connections need; where that is not allowed, the most connections are fewer.
pub fn fit(mut settings: Settings) -> Settings {
    let wanted = u64::try_from(settings.limits.connections).unwrap_or(u64::MAX);
    let wanted = wanted.saturating_mul(EACH).saturating_add(OTHERS);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return settings };
    if soft >= wanted {
        return settings;
    }
    let raised = [(wanted, hard.max(wanted)), (wanted.min(hard), hard)]
        .into_iter()
        .find(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard).is_ok());
    let granted = raised.map_or(soft, |(soft, _)| soft);
    if granted < wanted {
        let room = granted.saturating_sub(OTHERS).checked_div(EACH).unwrap_or_default().max(1);
        settings.limits.connections = usize::try_from(room).unwrap_or(usize::MAX);
        tracing::warn!(
            connections = settings.limits.connections,
            "proxy-max-connections is lowered: this process may not have {wanted} files open"
        );
    }
    settings
}
