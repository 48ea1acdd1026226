//! Which events the kernel reports at all, as the settings say.

use ciliate_api::settings::{Config, Switch};
use ciliate_bpf::{EventBound, EventBounds};
use std::num::NonZeroU32;

pub fn read(config: &Config) -> EventBounds {
    let default = (config.events_rate.0, config.events_burst.0);
    EventBounds {
        drops: bound(config.drop_events, (config.drop_events_rate.0, config.drop_events_burst.0), default),
        traces: bound(
            config.trace_events,
            (config.trace_events_rate.0, config.trace_events_burst.0),
            default,
        ),
        verdicts: bound(
            config.verdict_events,
            (config.verdict_events_rate.0, config.verdict_events_burst.0),
            default,
        ),
    }
}

/// From rates and bursts, of which 0 is none.
fn bound(enabled: Switch, (rate, burst): (u32, u32), default: (u32, u32)) -> EventBound {
    if enabled == Switch::Off {
        return EventBound::Off;
    }
    let Some(rate) = NonZeroU32::new(rate).or(NonZeroU32::new(default.0)) else { return EventBound::All };
    let burst = NonZeroU32::new(burst).or(NonZeroU32::new(default.1)).unwrap_or(rate);
    EventBound::Rate { rate, burst }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_a_limit_of_its_own_has_the_default() {
        let limited = |rate, burst| EventBound::Rate {
            rate: NonZeroU32::new(rate).expect("a rate"),
            burst: NonZeroU32::new(burst).expect("a burst"),
        };
        for (own, default, expected) in [
            ((0, 0), (0, 0), EventBound::All),
            ((0, 7), (0, 7), EventBound::All),
            ((0, 0), (100, 0), limited(100, 100)),
            ((0, 0), (100, 20), limited(100, 20)),
            ((50, 0), (100, 20), limited(50, 20)),
            ((50, 5), (100, 20), limited(50, 5)),
            ((50, 5), (0, 0), limited(50, 5)),
        ] {
            assert_eq!(bound(Switch::On, own, default), expected, "{own:?} {default:?}");
        }
        assert_eq!(bound(Switch::Off, (50, 5), (100, 20)), EventBound::Off);
    }
}
