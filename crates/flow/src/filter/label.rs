//! Selectors of labels, in the language of Kubernetes with Cilium's sources in front of keys.

/// All requirements have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    /// None: a label of any source.
    source: Option<Box<str>>,
    key: Box<str>,
    relation: Relation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Relation {
    Exists,
    Absent,
    In(Vec<Box<str>>),
    /// Or there is no such label.
    NotIn(Vec<Box<str>>),
    Above(i64),
    Below(i64),
}

impl Selector {
    /// `key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key>1`, `key<1`, several
    /// of them with commas between; a key may have its source in front, as in `k8s:app`.
    pub fn read(text: &str) -> Result<Self, String> {
        let requirements: Result<Vec<_>, _> = parts(text)?.into_iter().map(requirement).collect();
        match requirements {
            Ok(list) if list.is_empty() => Err("it is empty: write a selector such as app=web".to_owned()),
            Ok(list) => Ok(Self(list)),
            Err(what) => Err(format!("in {text:?}: {what}")),
        }
    }

    pub fn selects(&self, labels: &[String]) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &[String]) -> bool {
        let mut values = labels.iter().filter_map(|label| self.value(label));
        match &self.relation {
            Relation::Exists => values.next().is_some(),
            Relation::Absent => values.next().is_none(),
            Relation::In(wanted) => values.any(|value| wanted.iter().any(|want| **want == *value)),
            Relation::NotIn(unwanted) => !values.any(|value| unwanted.iter().any(|bad| **bad == *value)),
            Relation::Above(bound) => values.any(|value| value.parse().is_ok_and(|n: i64| n > *bound)),
            Relation::Below(bound) => values.any(|value| value.parse().is_ok_and(|n: i64| n < *bound)),
        }
    }

    /// The value of a label such as `k8s:app=web`, if it has this requirement's key.
    fn value<'a>(&self, label: &'a str) -> Option<&'a str> {
        let rest = match &self.source {
            Some(source) => label.strip_prefix(&**source)?.strip_prefix(':')?,
            None => match label.bytes().position(|byte| byte == b':' || byte == b'=') {
                Some(at) if label.as_bytes().get(at) == Some(&b':') => label.get(at.saturating_add(1)..)?,
                _ => label,
            },
        };
        match rest.strip_prefix(&*self.key)? {
            "" => Some(""),
            value => value.strip_prefix('='),
        }
    }
}

/// Between commas that are not in parentheses.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut from, mut inside) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        match (letter, inside) {
            ('(', false) => inside = true,
            (')', true) => inside = false,
            ('(', true) | (')', false) => {
                return Err(format!("{text:?} has a parenthesis without its other half"));
            }
            (',', false) => {
                parts.push(text.get(from..at).unwrap_or_default().trim());
                from = at.saturating_add(1);
            }
            _ => {}
        }
    }
    if inside {
        return Err(format!("{text:?} has a parenthesis without its other half"));
    }
    parts.push(text.get(from..).unwrap_or_default().trim());
    if parts.iter().any(|part| part.is_empty()) {
        return Err(match text.trim() {
            "" => "it is empty: write a selector such as app=web".to_owned(),
            _ => format!("{text:?} has a comma with nothing beside it"),
        });
    }
    Ok(parts)
}

fn requirement(text: &str) -> Result<Requirement, String> {
    if let Some(key) = text.strip_prefix('!') {
        return of(key.trim(), Relation::Absent);
    }
    let end = text.find(|letter: char| letter.is_whitespace() || "=!<>(".contains(letter));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start();
    let relation = if rest.is_empty() {
        Relation::Exists
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        Relation::In(vec![plain(value)?])
    } else if let Some(value) = rest.strip_prefix("!=") {
        Relation::NotIn(vec![plain(value)?])
    } else if let Some(value) = rest.strip_prefix('>') {
        Relation::Above(number(value)?)
    } else if let Some(value) = rest.strip_prefix('<') {
        Relation::Below(number(value)?)
    } else if let Some(values) = rest.strip_prefix("notin") {
        Relation::NotIn(set(values)?)
    } else if let Some(values) = rest.strip_prefix("in") {
        Relation::In(set(values)?)
    } else {
        return Err(format!("{rest:?} is no relation: write =, !=, in (…), notin (…), < or >"));
    };
    of(name, relation)
}

fn of(name: &str, relation: Relation) -> Result<Requirement, String> {
    let (source, key) = match name.split_once(':') {
        Some(("any", key)) => (None, key),
        Some((source, key)) => (Some(source), key),
        None => (None, name),
    };
    let wrong = |letter: char| letter.is_whitespace() || "=!<>(),:".contains(letter);
    if key.is_empty() || source == Some("") || key.contains(wrong) {
        return Err(format!("{name:?} is no key of a label"));
    }
    Ok(Requirement { source: source.map(Into::into), key: key.into(), relation })
}

fn plain(value: &str) -> Result<Box<str>, String> {
    let value = value.trim();
    match value.contains(|letter: char| letter.is_whitespace() || "=!<>()".contains(letter)) {
        true => Err(format!("{value:?} is no value of a label")),
        false => Ok(value.into()),
    }
}

fn number(value: &str) -> Result<i64, String> {
    value.trim().parse().map_err(|_| format!("{:?} is no whole number", value.trim()))
}

fn set(values: &str) -> Result<Vec<Box<str>>, String> {
    let inner = values.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("{values:?} is no set: write (a,b)"))?;
    inner.split(',').map(plain).collect()
}
