//! Bad input: every fault is named with its line and field, and nothing ever panics.

mod damage;
mod requests;
mod values;

use ciliate_policy::{Change, Engine, InputError, Object, Settings, parse};

const CNP: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n";

#[expect(clippy::expect_used, reason = "a test")]
fn faults(text: &str) -> Vec<(usize, String, String)> {
    let errors = parse(text, "test.yaml", "default").expect_err(text);
    errors.into_iter().map(|error| (error.line, error.field, error.message)).collect()
}

/// The only fault of a spec of a CiliumNetworkPolicy: its field, and a part of what is said about it.
fn check(head: &str, spec: &str, field: &str, message: &str) {
    let text = format!("{head}spec: {spec}");
    let found = faults(&text);
    assert!(
        matches!(&found[..], [(_, f, m)] if f == field && m.contains(message)),
        "{text}\nwanted {field}: {message}\nfound {found:#?}"
    );
}

#[test]
fn every_fault_has_its_line_and_field() {
    let text = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: Bad_Name
spec:
  endpointSelector: {}
  ingress:
  - fromCIDR:
    - 10.0.0.0/33
    toPorts:
    - ports:
      - port: '80'
        protocol: TPC
      - port: 'a_b'
---
apiVersion: v1
kind: Pod
metadata: {name: x}
---
apiVersion: networking.k8s.io/v2
kind: NetworkPolicy
metadata: {name: np}
";
    let errors = parse(text, "dir/test.yaml", "default").unwrap_err();
    let found: Vec<_> = errors.iter().map(|e| (e.document, e.line, e.field.as_str())).collect();
    assert_eq!(
        found,
        [
            (1, 4, "metadata.name"),
            (1, 9, "spec.ingress[0].fromCIDR[0]"),
            (1, 13, "spec.ingress[0].toPorts[0].ports[0].protocol"),
            (1, 14, "spec.ingress[0].toPorts[0].ports[1].port"),
            (2, 17, "kind"),
            (3, 20, "apiVersion"),
        ]
    );
    assert_eq!(
        errors[1].to_string(),
        "dir/test.yaml:9: CiliumNetworkPolicy default/Bad_Name: spec.ingress[0].fromCIDR[0]: \"10.0.0.0/33\" is \
         not an address prefix: write one such as 10.0.0.0/8 or fd00::/8"
    );
    assert!(errors[4].message.contains("CiliumCIDRGroup"), "{}", errors[4]);
    assert!(errors[5].message.contains("networking.k8s.io/v1"), "{}", errors[5]);
}

#[test]
fn fields_of_later_versions_are_refused_by_name() {
    for (spec, field) in [
        ("{nodeSelector: {}, endpointSelector: {}}", "spec.nodeSelector"),
        ("{endpointSelector: {}, ingress: [{fromRequires: [{}]}]}", "spec.ingress[0].fromRequires"),
        ("{endpointSelector: {}, ingress: [{fromGroups: [{}]}]}", "spec.ingress[0].fromGroups"),
        (
            "{endpointSelector: {}, ingress: [{authentication: {mode: required}}]}",
            "spec.ingress[0].authentication",
        ),
        ("{endpointSelector: {}, egress: [{toRequires: [{}]}]}", "spec.egress[0].toRequires"),
        ("{endpointSelector: {}, egress: [{toServices: [{}]}]}", "spec.egress[0].toServices"),
        ("{endpointSelector: {}, egressDeny: [{toGroups: [{}]}]}", "spec.egressDeny[0].toGroups"),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], listener: {}}]}]}",
            "spec.egress[0].toPorts[0].listener",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], terminatingTLS: {}}]}]}",
            "spec.egress[0].toPorts[0].terminatingTLS",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], originatingTLS: {}}]}]}",
            "spec.egress[0].toPorts[0].originatingTLS",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {l7proto: x}}]}]}",
            "spec.egress[0].toPorts[0].rules.l7proto",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {l7: [{a: b}]}}]}]}",
            "spec.egress[0].toPorts[0].rules.l7",
        ),
    ] {
        check(CNP, spec, field, field.rsplit('.').next().unwrap());
    }
}

#[test]
fn what_is_no_object_is_said_to_be_none() {
    for (text, message) in [
        ("a: [", "not valid YAML"),
        ("a: 1\na: 2", "written twice"),
        ("x", "wants an object"),
        ("[]", "wants an object"),
        ("{}", "is missing"),
        ("kind: CiliumNetworkPolicy\nmetadata: {name: a}\nspec: {endpointSelector: {}}", "cilium.io/v2"),
        ("apiVersion: v1\nkind: Namespace", "is missing"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}", "belongs to no namespace"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {generateName: a-, name: b}", "write a name"),
        ("a: *b", "anchor"),
        ("a: !x y", "tag"),
        (&format!("a: {}{}", "[".repeat(100), "]".repeat(100)), "deep"),
        (
            "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n\
          e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n\
          h: &h [*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h]",
            "split it",
        ),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|(_, _, m)| m.contains(message)), "{text}: {message}\n{found:#?}");
    }
    assert_eq!(parse("", "empty", "default").unwrap(), []);
    assert_eq!(parse("---\n---\n# nothing\n", "empty", "default").unwrap(), []);
}

#[test]
fn the_same_name_twice_is_refused() {
    let one = format!("{CNP}spec: {{endpointSelector: {{}}}}\n");
    let found = faults(&format!("{one}---\n{one}"));
    assert!(
        matches!(&found[..], [(_, f, m)] if f == "metadata.name" && m.contains("first on line 1")),
        "{found:#?}"
    );
}

#[test]
fn unknown_fields_are_warnings_that_know_better() {
    let text =
        format!("{CNP}spec:\n  endpointSelector: {{}}\n  ingres: [{{}}]\n  ingress:\n  - fromEndpoint: []\n");
    let parsed = parse(&text, "test.yaml", "default").unwrap();
    let shown: Vec<_> =
        parsed[0].warnings.iter().map(|w| (w.line, w.field.as_str(), w.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            (8, "spec.ingress[0].fromEndpoint", "unknown field: did you mean fromEndpoints?"),
            (6, "spec.ingres", "unknown field: did you mean ingress?"),
        ]
    );
}

#[test]
fn texts_are_kept_as_they_were_written() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {a: 0755, b: yes, c: 1e3, d: 80, e: true, f: '80', g: ~}}";
    let parsed = parse(text, "", "").unwrap();
    let again = parse(&parsed[0].raw.to_string(), "", "").unwrap();
    assert_eq!(parsed[0].object, again[0].object);
    let values: Vec<_> = parsed[0].object.labels().values().map(String::as_str).collect();
    assert_eq!(values, ["0755", "yes", "1e3", "80", "true", "80", ""]);
}

#[test]
fn lists_anchors_and_merges_are_read() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- &n {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {<<: *n, metadata: {name: b}}\n";
    let names: Vec<_> = parse(text, "", "").unwrap().iter().map(|p| p.object.key().to_string()).collect();
    assert_eq!(names, ["ns/a", "ns/b"]);
}

#[test]
fn nothing_changes_if_one_change_is_wrong() {
    let good =
        parse(&format!("{CNP}spec: {{endpointSelector: {{}}}}"), "", "default").unwrap().remove(0).object;
    let mut bad = good.clone();
    if let Object::CiliumNetworkPolicy(policy) = &mut bad {
        policy.metadata.name = "q".to_owned();
        policy.spec = None;
    }
    let mut engine = Engine::new(Settings::default());
    let errors: Vec<InputError> = engine.replace(vec![Change::Put(good), Change::Put(bad)]).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.field.as_str()).collect::<Vec<_>>(), ["spec"]);
    assert_eq!((engine.objects().count(), engine.revision()), (0, 1));
}

#[test]
fn ten_thousand_rules_are_read() {
    let mut text = format!("{CNP}spec:\n  endpointSelector: {{}}\n  ingress:\n");
    for n in 0..10_000 {
        text.push_str(&format!(
            "  - fromCIDR: [10.{}.{}.0/24]\n    toPorts: [{{ports: [{{port: '{}'}}]}}]\n",
            n / 250,
            n % 250,
            n + 1
        ));
    }
    let parsed = parse(&text, "", "default").unwrap();
    let mut engine = Engine::new(Settings::default());
    engine.replace(vec![Change::Put(parsed[0].object.clone())]).unwrap();
    assert_eq!(engine.prefixes().len(), 10_000);
    text.push_str("  - fromCIDR: [nonsense]\n");
    assert_eq!(faults(&text)[0].1, "spec.ingress[10000].fromCIDR[0]");
}
