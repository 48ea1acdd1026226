//! Which flows somebody wants: Hubble's filters, compiled so that a flow is judged without an allocation.

mod cel;
mod compile;
mod http;
mod judge;
mod keys;
mod label;
mod name;
mod read;
mod test;

use crate::Flow;
use ciliate_hubble::flow::FlowFilter;
use compile::{Compiler, RegexSize};
pub use judge::Judge;
use judge::Place;
pub use keys::{Keys, Unknown};
use prost::Message as _;
pub use read::read_filters;
use std::fmt;
use test::Test;

/// Filters of one request or of one exporter.
///
/// Within a message different fields have to match all, and of the values of a field one. A flow passes if it matches one of
/// the filters that allow, or there are none, and none of those that deny.
#[derive(Debug, Default)]
pub struct Filter {
    allow: Vec<Tests>,
    deny: Vec<Tests>,
}

/// What one message asks, cheap questions first.
type Tests = Vec<Test>;

/// Which of the two lists of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Flows that match are shown.
    Allow,
    /// Flows that match are not shown.
    Deny,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "whitelist",
            Self::Deny => "blacklist",
        })
    }
}

/// Why filters cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("{list}[{number}].{field}: {what}")]
    Field {
        list: List,
        /// Of the message in its list, from 0.
        number: usize,
        /// As in Hubble's interface, such as `source_pod`.
        field: &'static str,
        /// What is wrong with which value, and what would be right.
        what: String,
    },
    #[error("the {list} has {count} filters, more than the {MOST_FILTERS} that are taken: join them")]
    TooMany { list: List, count: usize },
    #[error("the filters take {bytes} bytes, more than the {MOST_BYTES} that are taken")]
    TooLarge { bytes: usize },
    #[error(
        "the filters have {count} regular expressions, more than the {MOST_EXPRESSIONS} that are taken: join them with |"
    )]
    TooManyExpressions { count: usize },
}

/// Messages in one list.
pub const MOST_FILTERS: usize = 128;
/// All messages of both lists as they are sent.
pub const MOST_BYTES: usize = 128 << 10;
/// Regular expressions in both lists, apart from those in CEL.
pub const MOST_EXPRESSIONS: usize = 256;

impl Filter {
    /// From a request's `whitelist` and `blacklist`.
    ///
    /// # Errors
    /// Says which field of which message is wrong and what would be right, or that there is too much of it.
    pub fn new(whitelist: &[FlowFilter], blacklist: &[FlowFilter]) -> Result<Self, FilterError> {
        let bytes = whitelist.iter().chain(blacklist).map(FlowFilter::encoded_len).sum();
        if bytes > MOST_BYTES {
            return Err(FilterError::TooLarge { bytes });
        }
        let count = whitelist.iter().chain(blacklist).map(expressions).sum();
        if count > MOST_EXPRESSIONS {
            return Err(FilterError::TooManyExpressions { count });
        }
        let size = RegexSize::each_of(count);
        let mut filter = Self {
            allow: compile(List::Allow, whitelist, size)?,
            deny: compile(List::Deny, blacklist, size)?,
        };
        let places = filter.allow.iter_mut().chain(&mut filter.deny).flatten().filter_map(Test::place);
        places.enumerate().for_each(|(number, place)| *place = Place::nth(number));
        Ok(filter)
    }

    /// Asks everything anew; whoever asks about many flows has a [`Judge`].
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        self.decide(|test| test.holds(flow))
    }

    fn decide(&self, mut holds: impl FnMut(&Test) -> bool) -> bool {
        let mut all = |tests: &Tests| tests.iter().all(&mut holds);
        (self.allow.is_empty() || self.allow.iter().any(&mut all)) && !self.deny.iter().any(&mut all)
    }

    /// Whether every flow passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.deny.is_empty() && (self.allow.is_empty() || self.allow.iter().any(Vec::is_empty))
    }
}

fn expressions(filter: &FlowFilter) -> usize {
    let FlowFilter { dns_query, http_path, http_url, .. } = filter;
    [dns_query, http_path, http_url].into_iter().map(Vec::len).sum()
}

fn compile(list: List, filters: &[FlowFilter], size: RegexSize) -> Result<Vec<Tests>, FilterError> {
    if filters.len() > MOST_FILTERS {
        return Err(FilterError::TooMany { list, count: filters.len() });
    }
    let each = |(number, filter)| Compiler::new(list, number, size).compile(filter);
    filters.iter().enumerate().map(each).collect()
}

#[cfg(test)]
mod tests;
