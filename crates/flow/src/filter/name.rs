//! Names in filters: pods and services, names of servers, names of nodes.

/// A namespace and how a name in it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaced {
    /// None: every namespace.
    namespace: Option<Box<str>>,
    /// Empty: every name.
    prefix: Box<str>,
}

/// Where a name lies that does not say its namespace.
const DEFAULT_NAMESPACE: &str = "default";
/// The cluster of a node that does not say one.
const DEFAULT_CLUSTER: &str = "default";

impl Namespaced {
    /// `NAMESPACE/PREFIX`; `NAMESPACE/` means all of it, `/PREFIX` that in any namespace, `PREFIX` that in `default`.
    pub fn read(text: &str) -> Result<Self, String> {
        let (namespace, prefix) = match text.split_once('/') {
            Some((_, prefix)) if prefix.contains('/') => {
                return Err(format!("{text:?} has more than one '/': write NAMESPACE/PREFIX"));
            }
            Some((namespace, prefix)) => (namespace, prefix),
            None if text.is_empty() => {
                return Err("it is empty: write NAMESPACE/PREFIX, NAMESPACE/ or PREFIX".to_owned());
            }
            None => (DEFAULT_NAMESPACE, text),
        };
        Ok(Self { namespace: (!namespace.is_empty()).then(|| namespace.into()), prefix: prefix.into() })
    }

    pub fn fits(&self, namespace: &str, name: &str) -> bool {
        if namespace.is_empty() && name.is_empty() {
            return false;
        }
        self.namespace.as_deref().is_none_or(|own| own == namespace) && name.starts_with(&*self.prefix)
    }
}

/// A domain name in which `*` stands for any run of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameGlob(Box<str>);

impl NameGlob {
    pub fn read(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let name = trimmed.strip_suffix('.').unwrap_or(trimmed).to_ascii_lowercase();
        if name.is_empty() {
            return Err("it is empty: write a name, with * for any part of it".to_owned());
        }
        if name.ends_with('.') {
            return Err(format!("{text:?} has more than one dot at its end"));
        }
        match name.chars().find(|letter| !is_in_names(*letter) && *letter != '*') {
            Some(letter) => Err(format!(
                "{text:?} has the character {letter:?}: write letters, digits, '-', '_', '.' and '*'"
            )),
            None => Ok(Self(name.into())),
        }
    }

    pub fn fits(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }
}

const fn is_in_names(letter: char) -> bool {
    matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
}

/// Remembers the last star only: a later one never needs an earlier one to give back anything.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (Some(b'*'), _) => {
                p = p.saturating_add(1);
                star = Some((p, n));
            }
            (None, None) => return true,
            (Some(want), Some(have)) if want == have => {
                p = p.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => {
                // What the star has taken grows by one character, if that is one that it stands for.
                let Some((after, taken)) = star else { return false };
                match name.get(taken) {
                    Some(byte) if is_in_names(char::from(*byte)) => {
                        n = taken.saturating_add(1);
                        p = after;
                        star = Some((after, n));
                    }
                    _ => return false,
                }
            }
        }
    }
}

/// `NODE`, `CLUSTER/NODE` or `CLUSTER/`, each a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeGlob {
    /// None: every cluster.
    cluster: Option<NameGlob>,
    /// None: every node.
    node: Option<NameGlob>,
}

impl NodeGlob {
    pub fn read(text: &str) -> Result<Self, String> {
        let (cluster, node) = text.split_once('/').unwrap_or(("", text));
        if node.contains('/') {
            return Err(format!("{text:?} has more than one '/': write CLUSTER/NODE"));
        }
        if text.is_empty() {
            return Err("it is empty: write NODE, CLUSTER/NODE or CLUSTER/".to_owned());
        }
        let part = |part: &str| match part {
            "" => Ok(None),
            part => NameGlob::read(part).map(Some),
        };
        Ok(Self { cluster: part(cluster)?, node: part(node)? })
    }

    pub fn fits(&self, name: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        let (cluster, node) = name.split_once('/').unwrap_or((DEFAULT_CLUSTER, name));
        let fits = |pattern: &Option<NameGlob>, name| pattern.as_ref().is_none_or(|p| p.fits(name));
        fits(&self.cluster, cluster) && fits(&self.node, node)
    }
}
