//! What an endpoint belongs to, as far as its labels and its name tell.
//!
//! Kubernetes says it in owner references, which an agent without Kubernetes does not see; but its controllers also put labels on
//! the pods that they make, and name them in ways of their own.

use ciliate_flow::Workload;
use ciliate_types::{Labels, source};

/// None where no controller's labels are there.
pub fn workload(name: &str, labels: &Labels) -> Option<Workload> {
    let value = |key: &str| {
        let label = labels.iter().find(|label| label.source() == source::K8S && label.key() == key);
        label.map(|label| label.value().to_owned()).filter(|value| !value.is_empty())
    };
    let of = |kind: &str, name: &str| {
        (!name.is_empty()).then(|| Workload { kind: kind.to_owned(), name: name.to_owned() })
    };
    let without_last =
        |name: &str| name.rsplit_once('-').map_or_else(String::new, |(first, _)| first.to_owned());
    if let Some(job) = value("batch.kubernetes.io/job-name").or_else(|| value("job-name")) {
        return of("Job", &job);
    }
    if value("statefulset.kubernetes.io/pod-name").is_some()
        || value("apps.kubernetes.io/pod-index").is_some()
    {
        return of("StatefulSet", &without_last(name));
    }
    // NAME-HASH-RANDOM
    if let Some(hash) = value("pod-template-hash") {
        let set = without_last(name);
        return match set.strip_suffix(&hash).and_then(|set| set.strip_suffix('-')) {
            Some(deployment) => of("Deployment", deployment),
            None => of("ReplicaSet", &set),
        };
    }
    if value("controller-revision-hash").is_some() && value("pod-template-generation").is_some() {
        return of("DaemonSet", &without_last(name));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_known_by_their_labels() {
        for (name, labels, expected) in [
            ("web-6d4cf56db6-x7k2p", &["k8s:pod-template-hash=6d4cf56db6"][..], "Deployment web"),
            ("odd", &["k8s:pod-template-hash=6d4cf56db6"], "-"),
            ("rs-x7k2p", &["k8s:pod-template-hash=1"], "ReplicaSet rs"),
            (
                "db-0",
                &["k8s:statefulset.kubernetes.io/pod-name=db-0", "k8s:controller-revision-hash=db-1"],
                "StatefulSet db",
            ),
            (
                "agent-9x2lk",
                &["k8s:controller-revision-hash=5", "k8s:pod-template-generation=1"],
                "DaemonSet agent",
            ),
            ("copy-28-abcde", &["k8s:batch.kubernetes.io/job-name=copy-28"], "Job copy-28"),
            ("web-6d4cf56db6-x7k2p", &["any:pod-template-hash=6d4cf56db6"], "-"),
            ("tiefighter", &["k8s:class=tiefighter"], "-"),
        ] {
            let labels: Labels = labels.iter().map(|label| label.parse().unwrap()).collect();
            let found =
                workload(name, &labels).map_or("-".to_owned(), |of| format!("{} {}", of.kind, of.name));
            assert_eq!(found, expected, "{name}");
        }
    }
}
