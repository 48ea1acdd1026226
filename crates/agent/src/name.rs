//! What users may call things, and which labels they may give.

use crate::failure::{Failure, Result};
use ciliate_types::{Label, Labels, source};

/// A host name: it stands in the hosts file.
pub fn endpoint_name(text: &str) -> Result<&str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let valid = text.len() <= 253
        && text.chars().all(fine)
        && ends(text.chars().next())
        && ends(text.chars().last())
        && !text.contains("..")
        && text.parse::<std::net::IpAddr>().is_err()
        && text.parse::<u16>().is_err();
    match valid {
        true => Ok(text),
        false => Err(Failure::invalid(format!(
            "name {text:?} cannot be an endpoint's: use letters, digits, '-', '_' and '.', at most 253, \
             with a letter or digit at both ends, and neither an address nor a number alone"
        ))),
    }
}

/// As Kubernetes has them: RFC 1123 labels.
pub fn namespace<'a>(text: &'a str, what: &str) -> Result<&'a str> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = (1..=63).contains(&text.len())
        && text.chars().all(fine)
        && !text.starts_with('-')
        && !text.ends_with('-');
    match valid {
        true => Ok(text),
        false => Err(Failure::invalid(format!(
            "{what} {text:?} is wrong: use 1 to 63 lower-case letters, digits and '-', with neither '-' first nor last"
        ))),
    }
}

/// Labels as given: without a source they have `k8s`. Sources that mean something to policies cannot be claimed.
pub fn labels(texts: &[String]) -> Result<Labels> {
    texts.iter().map(|text| label(text)).collect()
}

fn label(text: &str) -> Result<Label> {
    let label = Label::parse(text, source::K8S).map_err(|e| Failure::invalid(e.to_string()))?;
    match label.source() {
        source::RESERVED | source::CIDR | source::CIDR_GROUP | source::ANY => Err(Failure::invalid(format!(
            "label {text:?}: the source {:?} cannot be given to an endpoint; use k8s, container or one of your own",
            label.source()
        ))),
        _ => Ok(label),
    }
}

/// `[source:]key`, whatever its value.
pub fn without(labels: &Labels, keys: &[String]) -> Result<Labels> {
    let gone = self::labels(keys)?;
    let missing = gone.iter().find(|g| !labels.has(g.source(), g.key()));
    if let Some(missing) = missing {
        return Err(Failure::absent(format!(
            "the endpoint has no label {}:{} to delete",
            missing.source(),
            missing.key()
        )));
    }
    Ok(labels.iter().filter(|l| !gone.has(l.source(), l.key())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_hosts_file_can_hold() {
        for good in ["deathstar", "a", "A-b_c.d", "x1", "web-0.web"] {
            assert!(endpoint_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a\n", "1.2.3.4", "65", "a..b", "ns/a", "ü", "a#"] {
            assert!(endpoint_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nobody_claims_to_be_the_host() {
        let one = |text: &str| labels(&[text.to_owned()]).map(|l| l.to_string()).map_err(|e| e.0.status);
        assert_eq!(one("org=empire"), Ok("k8s:org=empire".to_owned()));
        assert_eq!(one("container:a=b"), Ok("container:a=b".to_owned()));
        for bad in ["reserved:host", "cidr:0.0.0.0/0", "cidrgroup:x", "any:a=b", "", "a b"] {
            assert_eq!(one(bad), Err(400), "{bad:?}");
        }
    }
}
