//! Explanations for people, in the manner of `cilium policy trace`.

use super::{DirectionExplanation, Explanation, Policed, Verdict};
use crate::{l7::Fit, rule_set::Action};
use ciliate_types::{Direction, Protocol};
use std::fmt;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "ALLOWED",
            Self::Redirected => "REDIRECTED",
            Self::Denied => "DENIED",
        })
    }
}

impl fmt::Display for Explanation {
    /// With `{:#}` also the policies that select neither end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracing from [{}] to [{}] with ", self.source, self.destination)?;
        match self.protocol {
            protocol @ (Protocol::ICMP | Protocol::ICMPV6) => write!(f, "{protocol} type {}", self.port)?,
            protocol if protocol.has_ports() => write!(f, "{}/{protocol}", self.port)?,
            protocol => write!(f, "protocol {protocol}")?,
        }
        self.request.iter().try_for_each(|request| write!(f, ", {request}"))?;
        f.write_str("\n")?;
        for direction in [&self.egress, &self.ingress] {
            f.write_str("\n")?;
            fmt::Display::fmt(direction, f)?;
        }
        write!(f, "\nFinal verdict: {}", self.verdict)
    }
}

impl fmt::Display for DirectionExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.direction {
            Direction::Egress => "source",
            Direction::Ingress => "destination",
        };
        writeln!(f, "Resolving {} policy of the {end}", self.direction)?;
        if self.policed == Policed::Yes {
            for rule in &self.rules {
                let action = match rule.action {
                    Action::Redirect => "redirect",
                    Action::Allow => "allow",
                    Action::Deny => "deny",
                };
                let object = rule.object.as_ref().map_or_else(|| "setting".to_owned(), ToString::to_string);
                let sign = if rule.matches() { '*' } else { '-' };
                writeln!(f, "  {sign} {action} {object} {}", rule.section)?;
                for (what, finding) in [("peer", &rule.peer), ("traffic", &rule.traffic)] {
                    let matches = if finding.matches { "matches" } else { "does not match" };
                    writeln!(f, "      {what} {matches}: {}", finding.reason)?;
                }
                rule.l7.iter().try_for_each(|way| writeln!(f, "      allows {way}"))?;
                match &rule.request {
                    Some(Fit::Matches) => writeln!(f, "      request matches")?,
                    Some(Fit::Differs(why)) => writeln!(f, "      request does not match: {why}")?,
                    Some(Fit::Unknown(why)) => writeln!(f, "      request may match: {why}")?,
                    None => {}
                }
            }
            if f.alternate() {
                for policy in &self.unselected {
                    writeln!(f, "    {} does not select it: {}", policy.object, policy.reason)?;
                }
            }
            let matching = self.rules.iter().filter(|rule| rule.matches()).count();
            let (rules, unselected) = (self.rules.len(), self.unselected.len());
            writeln!(f, "  {matching}/{rules} rules match; {unselected} policies do not select it")?;
            let by: Vec<_> = self.isolated_by.iter().map(ToString::to_string).collect();
            match (self.isolated, by.is_empty()) {
                (true, false) => writeln!(f, "  isolated by {}", by.join(", "))?,
                (true, true) => writeln!(f, "  isolated by policy-enforcement: always")?,
                (false, _) => writeln!(f, "  not isolated")?,
            }
        }
        let verdict = match self.verdict {
            Verdict::Allowed => "allowed",
            Verdict::Redirected => "redirected",
            Verdict::Denied => "denied",
        };
        writeln!(f, "{} verdict: {verdict} ({})", capitalized(self.direction), self.reason)
    }
}

const fn capitalized(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "Ingress",
        Direction::Egress => "Egress",
    }
}
