//! The environment variables by which a runtime says what it wants.

use crate::{Code, Error};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// A container's device: what the runtime adds and deletes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttachmentId {
    pub container: String,
    pub interface: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Add,
    Delete,
    Check,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Attachment(Kind, AttachmentId),
    CollectGarbage,
    Status,
    Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub command: Command,
    /// Present for ADD and CHECK, and for DEL if the runtime still knows it.
    pub netns: Option<PathBuf>,
    /// `CNI_ARGS`, keys that mean nothing to us included.
    pub arguments: BTreeMap<String, String>,
    /// `CILIATE_LABELS`: for runtimes that pass on their own environment but no labels of a container.
    pub labels: String,
}

/// What other plug-ins and runtimes put into `CNI_ARGS`, besides our own.
const KNOWN: [&str; 10] = [
    "IgnoreUnknown",
    "IP",
    "MAC",
    "GATEWAY",
    "K8S_POD_NAME",
    "K8S_POD_NAMESPACE",
    "K8S_POD_INFRA_CONTAINER_ID",
    "K8S_POD_UID",
    "K8S_POD_RUNTIME_ID",
    "SERVICE_ACCOUNT",
];
/// Before the key of a label in `CNI_ARGS`.
pub(crate) const LABEL_PREFIX: &str = "LABEL.";

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidEnvironment, message, "")
}

impl Environment {
    pub fn read(variable: &impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let text = |name: &str| match variable(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|t| !t.is_empty())),
            Some(Err(_)) => Err(invalid(format!("{name} is not UTF-8"))),
        };
        let command = text("CNI_COMMAND")?.ok_or_else(|| {
            invalid("CNI_COMMAND is not set: this is a CNI plug-in, container runtimes call it; see `ciliate run` instead")
        })?;
        let kind = match command.as_str() {
            "ADD" => Kind::Add,
            "DEL" => Kind::Delete,
            "CHECK" => Kind::Check,
            "GC" => return Ok(Self::plain(Command::CollectGarbage)),
            "STATUS" => return Ok(Self::plain(Command::Status)),
            "VERSION" => return Ok(Self::plain(Command::Version)),
            other => {
                let expected = "expected ADD, DEL, CHECK, GC, STATUS or VERSION";
                return Err(invalid(format!("CNI_COMMAND {other:?} is unknown: {expected}")));
            }
        };
        let required =
            |name: &str| text(name)?.ok_or_else(|| invalid(format!("{name} is not set: {command} needs it")));
        let container = required("CNI_CONTAINERID")?;
        check_container(&container)?;
        let interface = required("CNI_IFNAME")?;
        check_interface(&interface)?;
        let netns = match kind {
            Kind::Add | Kind::Check => Some(required("CNI_NETNS")?),
            Kind::Delete => text("CNI_NETNS")?,
        };
        let netns = netns.map(PathBuf::from);
        if let (Kind::Add, Some(path)) = (kind, &netns) {
            check_netns(path)?;
        }
        Ok(Self {
            command: Command::Attachment(kind, AttachmentId { container, interface }),
            netns,
            arguments: match kind {
                // A deletion must not fail for what only an addition reads.
                Kind::Delete => BTreeMap::new(),
                Kind::Add | Kind::Check => arguments(&text("CNI_ARGS")?.unwrap_or_default())?,
            },
            labels: text("CILIATE_LABELS")?.unwrap_or_default(),
        })
    }

    fn plain(command: Command) -> Self {
        Self { command, netns: None, arguments: BTreeMap::new(), labels: String::new() }
    }
}

/// As the specification has it; such a name is also safe as that of a file.
fn check_container(id: &str) -> Result<(), Error> {
    let first = id.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    match first && rest && id.len() <= 128 {
        true => Ok(()),
        false => Err(invalid(format!(
            "CNI_CONTAINERID {id:?} is wrong: it starts with a letter or digit and goes on with those, '_', '.' and '-', 128 in all"
        ))),
    }
}

fn check_interface(name: &str) -> Result<(), Error> {
    let fault = match name {
        "." | ".." => "is a name of a folder",
        "lo" => "is the loopback device's",
        _ if name.len() > 15 => "is longer than 15",
        _ if name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control()) => {
            "has '/', ':' or white space"
        }
        _ => return Ok(()),
    };
    Err(invalid(format!("CNI_IFNAME {name:?} {fault}")))
}

/// The runtime's own namespace is the host's: to make an endpoint of that would cut the host off.
fn check_netns(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino()));
    let theirs = id(path).map_err(|e| {
        Error::new(
            Code::InvalidEnvironment,
            format!("cannot find CNI_NETNS {}", path.display()),
            e.to_string(),
        )
    })?;
    match id(Path::new("/proc/self/ns/net")) {
        Ok(ours) if ours == theirs => {
            Err(invalid(format!("CNI_NETNS {} is the host's own network namespace", path.display())))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads `KEY=VALUE;KEY=VALUE`.
fn arguments(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for pair in text.split(';').filter(|p| !p.trim().is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| invalid(format!("CNI_ARGS has {pair:?}, which is not KEY=VALUE")))?;
        found.insert(key.trim().to_owned(), value.to_owned());
    }
    let ignores = found
        .get("IgnoreUnknown")
        .is_some_and(|v| matches!(v.as_str(), "1" | "true" | "True" | "TRUE" | "t"));
    let unknown = |key: &&String| !KNOWN.contains(&key.as_str()) && !key.starts_with(LABEL_PREFIX);
    match found.keys().find(unknown) {
        Some(key) if !ignores => Err(invalid(format!(
            "CNI_ARGS has {key:?}, which is unknown: use {LABEL_PREFIX}KEY=VALUE for labels, or add IgnoreUnknown=1"
        ))),
        Some(_) | None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(&|name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn add<'a>(change: &[(&'a str, &'a str)]) -> Result<Environment, Error> {
        let mut all = change.to_vec();
        all.extend([
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", "/proc"),
        ]);
        read(&all)
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (change, complaint) in [
            (("CNI_COMMAND", ""), "CNI_COMMAND is not set"),
            (("CNI_COMMAND", "add"), r#"CNI_COMMAND "add" is unknown"#),
            (("CNI_CONTAINERID", ""), "CNI_CONTAINERID is not set: ADD needs it"),
            (("CNI_CONTAINERID", "../x"), "CNI_CONTAINERID"),
            (("CNI_CONTAINERID", "a/b"), "CNI_CONTAINERID"),
            (("CNI_IFNAME", ""), "CNI_IFNAME is not set"),
            (("CNI_IFNAME", "lo"), "loopback"),
            (("CNI_IFNAME", "a/b"), "CNI_IFNAME"),
            (("CNI_IFNAME", "a234567890123456"), "longer than 15"),
            (("CNI_NETNS", ""), "CNI_NETNS is not set"),
            (("CNI_NETNS", "/nowhere/at/all"), "cannot find CNI_NETNS"),
            (("CNI_NETNS", "/proc/self/ns/net"), "the host's own network namespace"),
            (("CNI_ARGS", "x"), "not KEY=VALUE"),
            (("CNI_ARGS", "a=b"), "IgnoreUnknown=1"),
        ] {
            let error = add(&[change]).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert!(error.message.contains(complaint), "{change:?}: {}", error.message);
        }
    }

    #[test]
    fn arguments_are_read_with_ours_and_without_those_of_others() {
        let environment =
            add(&[("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=xwing;;x=y;LABEL.org=alliance=x;")]).unwrap();
        let get = |key: &str| environment.arguments.get(key).map(String::as_str);
        assert_eq!(get("K8S_POD_NAME"), Some("xwing"));
        assert_eq!(get("LABEL.org"), Some("alliance=x"));
        assert!(add(&[("CNI_ARGS", "K8S_POD_NAME=xwing;LABEL.org=alliance")]).is_ok());
    }

    #[test]
    fn a_deletion_needs_neither_namespace_nor_sound_arguments() {
        let deletion = read(&[
            ("CNI_COMMAND", "DEL"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "nonsense"),
        ]);
        assert_eq!(deletion.unwrap().netns, None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", other in "[A-Z_a-z0-9.;=/]*") {
            for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS", "CNI_NETNS"] {
                let _ = add(&[(name, &text)]);
                let _ = add(&[(name, &other)]);
            }
        }
    }
}
