//! The rules that flows name, as their policies have them now.

use crate::{
    context::Context,
    output::{count, yaml},
};
use ciliate_api::ObjectView;
use ciliate_flow::{PolicyRef, Time};
use serde_json::Value;

/// Lines of a rule that are shown.
const LINES: usize = 24;

/// The policies that an agent has now.
pub struct Rulebook {
    /// None where the agent cannot be asked.
    objects: Option<Vec<ObjectView>>,
    /// When the agent was started; revisions count from there.
    begun: Time,
}

impl Rulebook {
    /// Knows nothing where the agent cannot be asked.
    pub fn ask(context: &Context) -> Self {
        let client = context.client().ok();
        let status = client.as_ref().and_then(|client| client.status().ok());
        // It is told in whole seconds, rounded down.
        let begun = |uptime: u64| {
            let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
            Time(now.saturating_sub(uptime.saturating_add(1).saturating_mul(1_000_000_000)))
        };
        Self {
            begun: status.map_or(Time(0), |status| begun(status.uptime_seconds)),
            objects: client.and_then(|client| client.objects(None).ok()),
        }
    }

    /// What there is to say below the name of a policy that decided at a time: the rule's text, and whether it is still the one
    /// that decided.
    pub fn about(&self, policy: &PolicyRef, seen: Time) -> String {
        let mut text = match policy.section.as_str() {
            // A setting.
            "" if policy.kind.is_empty() => String::new(),
            "" => "      selects this end, and none of its rules lets this pass\n".to_owned(),
            section => format!("      {section}\n"),
        };
        let Some(objects) = &self.objects else { return text };
        let is_it = |view: &&ObjectView| {
            view.object.kind == policy.kind
                && view.object.name == policy.name
                && view.object.namespace.as_deref().unwrap_or_default() == policy.namespace
        };
        let Some(view) = objects.iter().find(is_it) else {
            if !policy.kind.is_empty() {
                text.push_str("      It is there no more.\n");
            }
            return text;
        };
        let has_rule = !policy.section.is_empty();
        text.push_str(&match (seen < self.begun, view.revision == policy.revision) {
            (true, _) if has_rule => {
                "      The agent was started anew since; this is the policy as it is now:\n".to_owned()
            }
            (false, false) if has_rule => {
                format!("      It was changed since, in revision {}; now:\n", view.revision)
            }
            (false, false) => format!("      It was changed since, in revision {}.\n", view.revision),
            (true, _) | (false, true) => String::new(),
        });
        let (place, rule) = match rule(&view.raw, &policy.section) {
            Some(found) => found,
            None if policy.section.is_empty() => return text,
            None => {
                text.push_str("      It has no such section any more.\n");
                return text;
            }
        };
        let lines = yaml(rule).unwrap_or_default();
        text.push_str(&format!("      | # {place}\n"));
        for line in lines.lines().take(LINES) {
            text.push_str(&format!("      | {line}\n"));
        }
        let more = lines.lines().count().saturating_sub(LINES);
        if more > 0 {
            text.push_str(&format!("      | # and {}\n", count(more, "more line")));
        }
        text
    }
}

/// The whole rule that a section lies in, `spec.ingress[0]` of `spec.ingress[0].toPorts[1]`, with its place.
fn rule<'a>(object: &'a Value, section: &str) -> Option<(String, &'a Value)> {
    let (mut value, mut place) = (object, String::new());
    for part in section.split('.').filter(|part| !part.is_empty()) {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, Some(rest.trim_end_matches(']').parse::<usize>().ok()?)),
            None => (part, None),
        };
        value = value.get(name)?;
        if let Some(index) = index {
            value = value.get(index)?;
        }
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(part);
        if name.starts_with("ingress") || name.starts_with("egress") {
            break;
        }
    }
    (!place.is_empty()).then_some((place, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::ObjectRef;
    use serde_json::json;

    fn policy(section: &str, revision: u64) -> PolicyRef {
        PolicyRef {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: "demo".to_owned(),
            name: "a".to_owned(),
            section: section.to_owned(),
            revision,
            ..PolicyRef::default()
        }
    }

    fn book() -> Rulebook {
        let object = ObjectRef {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: Some("demo".to_owned()),
            name: "a".to_owned(),
        };
        let ingress = json!([{"fromEntities": ["host"]}, {"toPorts": [{"ports": [{"port": "80"}]}]}]);
        let raw =
            json!({"spec": {"ingress": ingress}, "specs": [{"egressDeny": [{"toEntities": ["world"]}]}]});
        let objects = Some(vec![ObjectView { object, revision: 3, endpoints: 1, raw }]);
        Rulebook { objects, begun: Time(100) }
    }

    #[test]
    fn the_whole_rule_is_shown() {
        assert_eq!(
            book().about(&policy("spec.ingress[1].toPorts[0]", 3), Time(100)),
            "      spec.ingress[1].toPorts[0]\n      | # spec.ingress[1]\n      | toPorts:\n      | - ports:\n      |   - port: \"80\"\n"
        );
        assert!(book().about(&policy("specs[0].egressDeny[0]", 3), Time(200)).contains("| - world\n"));
    }

    #[test]
    fn what_is_other_than_it_was_is_said() {
        for (policy, expected) in [
            (
                policy("spec.ingress[0]", 2),
                "It was changed since, in revision 3; now:\n      | # spec.ingress[0]",
            ),
            (policy("spec.ingress[7]", 2), "It has no such section any more."),
            (PolicyRef { name: "b".to_owned(), ..policy("spec.ingress[0]", 3) }, "It is there no more."),
            (policy("", 3), "selects this end, and none of its rules lets this pass\n"),
        ] {
            let text = book().about(&policy, Time(100));
            assert!(text.contains(expected), "{text}");
        }
        // Another agent's revisions say nothing.
        let before = book().about(&policy("spec.ingress[0]", 9), Time(99));
        assert!(
            before.contains(
                "The agent was started anew since; this is the policy as it is now:\n      | # spec"
            ),
            "{before}"
        );
        assert_eq!(book().about(&policy("", 9), Time(99)), book().about(&policy("", 3), Time(100)));
        assert!(
            book().about(&policy("", 9), Time(100)).ends_with("      It was changed since, in revision 3.\n")
        );
        let unknown =
            Rulebook { objects: None, begun: Time(0) }.about(&policy("spec.ingress[0]", 3), Time(100));
        assert_eq!(unknown, "      spec.ingress[0]\n");
    }
}
