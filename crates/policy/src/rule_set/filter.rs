//! What entries that redirect stand for: the rules of which one has to allow each request.

use super::RuleId;
use crate::ObjectKey;
use ciliate_types::L7Rules;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// Names the content of a [`Filter`]; the same after a restart and on every machine. 0 stands for no filter.
///
/// It is the first 64 bits of a SHA-256 sum, so that nobody finds rules that are taken for somebody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct FilterDigest(pub u64);

/// Rules with L7 rules that share an entry. A request that one of them matches is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Filter {
    /// By number.
    pub rules: Vec<FilterRule>,
}

/// One rule and how it is known to users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FilterRule {
    pub rule: RuleId,
    pub object: Arc<ObjectKey>,
    /// Such as `spec.ingress[0].toPorts[0]`.
    pub section: Box<str>,
    pub l7: Arc<L7Rules>,
}

impl FilterDigest {
    /// Of entries that do not redirect.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for FilterDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Filter {
    #[must_use]
    pub fn digest(&self) -> FilterDigest {
        let mut sum = Sha256::new();
        for FilterRule { rule, object, section, l7 } in &self.rules {
            // Texts, vectors and enums always have a form in JSON.
            let l7 = serde_json::to_vec(l7).unwrap_or_default();
            for part in [rule.to_string().as_bytes(), object.to_string().as_bytes(), section.as_bytes(), &l7]
            {
                sum.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                sum.update(part);
            }
        }
        let sum = sum.finalize();
        let first = sum.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        FilterDigest(first.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use ciliate_types::HttpRule;

    fn rule(number: u32, section: &str, path: &str) -> FilterRule {
        let http = HttpRule { path: Some(path.to_owned()), ..HttpRule::default() };
        let object = ObjectKey {
            kind: Kind::CiliumNetworkPolicy,
            namespace: Some("default".to_owned()),
            name: "rule1".to_owned(),
        };
        FilterRule {
            rule: RuleId(number),
            object: object.into(),
            section: section.into(),
            l7: L7Rules::Http(vec![http]).into(),
        }
    }

    /// Pinned maps and files hold digests: this number may change only together with the form of L7 rules.
    #[test]
    fn the_digest_is_the_same_everywhere() {
        let filter = Filter { rules: vec![rule(17, "spec.ingress[0].toPorts[0]", "/v1")] };
        assert_eq!(filter.digest().to_string(), "17097b1659a2d25d");
    }

    #[test]
    fn whatever_differs_has_another_digest() {
        let filters = [
            vec![],
            vec![rule(17, "a", "/v1")],
            vec![rule(17, "a", "/v2")],
            vec![rule(17, "b", "/v1")],
            vec![rule(18, "a", "/v1")],
            vec![rule(17, "a", "/v1"), rule(18, "a", "/v1")],
        ];
        let digests: std::collections::BTreeSet<_> =
            filters.into_iter().map(|rules| Filter { rules }.digest()).collect();
        assert_eq!(digests.len(), 6);
        assert!(!digests.contains(&FilterDigest::NONE));
    }
}
