//! Which part of what a server has is asked for.

use super::{moment, raw_filter::usage};
use ciliate_hubble::Timestamp;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectFlags {
    /// Everything that the server has
    #[arg(long, help_heading = "Selection")]
    pub all: bool,
    /// The last ones [default: 20]
    #[arg(long, value_name = "NUMBER", help_heading = "Selection")]
    pub last: Option<u64>,
    /// The first ones
    #[arg(long, value_name = "NUMBER", help_heading = "Selection")]
    pub first: Option<u64>,
    /// Go on with what comes up
    #[arg(short, long, help_heading = "Selection")]
    pub follow: bool,
    /// From this moment on, or how long ago: 90s, 5m, 24h, 2d, 2026-01-31, 2026-01-31T15:04:05Z
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub since: Option<String>,
    /// Up to this moment, in the same forms
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub until: Option<String>,
}

/// What goes into a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// 0 = no limit is asked for.
    pub number: u64,
    pub first: bool,
    pub follow: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// As many as fit on a page.
const USUAL: u64 = 20;

/// Where flows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Server,
    File,
}

impl SelectFlags {
    pub fn selection(&self, source: Source) -> anyhow::Result<Selection> {
        let first = self.first.filter(|number| *number > 0);
        let last = self.last.filter(|number| *number > 0);
        for (one, other, both) in [
            ("--first", "--last", first.is_some() && last.is_some()),
            ("--first", "--all", first.is_some() && self.all),
            ("--first", "--follow", first.is_some() && self.follow),
            ("--last", "--all", last.is_some() && self.all),
        ] {
            if both {
                return Err(usage(format!("{one} and {other} cannot be combined")));
            }
        }
        let since = self.since.as_deref().map(|text| moment::flag("since", text)).transpose()?;
        // Who follows wants what comes.
        let until = self.until.as_deref().filter(|_| !self.follow);
        let until = until.map(|text| moment::flag("until", text)).transpose()?;
        let bounded = since.is_some() || until.is_some();
        let number = match (first, last) {
            (Some(number), _) | (None, Some(number)) => number,
            (None, None) if bounded => 0,
            (None, None) if self.all => u64::MAX,
            (None, None) if self.follow || source == Source::File => 0,
            (None, None) => USUAL,
        };
        Ok(Selection { number, first: first.is_some(), follow: self.follow, since, until })
    }
}
