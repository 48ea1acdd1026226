//! Network policies to rule sets, and the reasons for every verdict. Pure: no clock, no sockets, no kernel.

mod endpoint_labels;
mod engine;
mod explain;
mod icmp;
mod identities;
pub mod l7;
mod lower;
pub mod object;
mod parse;
mod policies;
pub mod rule;
pub mod rule_set;
pub mod selector;
mod selectors;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use endpoint_labels::{endpoint_labels, fqdn_labels, prefix_labels, world_labels};
pub use engine::{
    Change, Effect, Engine, FqdnSelectorRow, PeerScope, RuleRef, RuleScope, SelectorRow, Subject,
    SubjectKind, TrafficScope,
};
pub use explain::{
    Considered, DirectionExplanation, Explanation, Finding, PeerRef, Policed, Query, Unselected, Verdict,
};
pub use identities::{IdentityInfo, NamedPorts};
pub use object::{Kind, KindError, Object, ObjectKey};
pub use parse::{InputError, Parsed, parse, parse_stored};
pub use settings::{AllowLocalhost, CidrMatchMode, EnforcementMode, SettingError, Settings};
