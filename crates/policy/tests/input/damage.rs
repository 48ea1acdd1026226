//! Whatever the text: it is refused, or works.

use ciliate_policy::{Change, Engine, Settings, parse, parse_stored};
use proptest::prelude::*;

const SAMPLE: &str = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p, labels: {a: b}}
spec:
  description: \"x\"
  endpointSelector: {matchLabels: {'k8s:app': web}, matchExpressions: [{key: a, operator: In, values: [b]}]}
  enableDefaultDeny: {ingress: true}
  ingress:
  - fromEndpoints: [{}]
    toPorts: [{ports: [{port: '80', endPort: 90, protocol: TCP}], rules: {http: [{method: GET, headerMatches: [{name: A, value: b, mismatch: LOG}]}]}}]
  - fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {cidrGroupRef: g}]
    icmps: [{fields: [{type: 8, family: IPv4}]}]
  egressDeny: [{toEntities: [world]}, &x {}]
  egress: [*x, {toFQDNs: [{matchPattern: '*.a.b'}]}, {toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchName: a.b}]}}]}]
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), "", "default");
    }

    /// YAML's own signs, thrown together.
    #[test]
    fn any_yaml_is_answered(text in "([-:?,&*!|>'\"%@`{}\\[\\] \n#a0~]|- |: |kind|metadata|spec){0,60}") {
        let _ = parse(&text, "", "default");
    }

    /// A policy with a few characters changed is refused, or taken by the engine as it stands.
    #[test]
    fn a_damaged_policy_is_refused_or_works(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::char::range('\n', '~'), 0..3_u8), 1..4),
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, sign, how) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = sign,
                1 => text.insert(at, sign),
                _ => { text.remove(at); }
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text, "", "default") {
            Ok(parsed) => {
                let mut engine = Engine::new(Settings::default());
                let changes = parsed.into_iter().map(|p| Change::Put(p.object)).collect();
                prop_assert!(engine.replace(changes).is_ok());
            }
            Err(errors) => prop_assert!(errors.iter().all(|e| !e.message.is_empty() && e.line > 0), "{errors:?}"),
        }
    }

    /// One value anywhere in a policy is replaced by one of another kind.
    #[test]
    fn a_value_of_the_wrong_kind_is_refused_or_works(
        at in any::<prop::sample::Index>(),
        new in prop::sample::select(vec!["null", "[]", "{}", "7", "\"\"", "true", "[{}]", "{\"a\": {}}", "-1", "\"*\""]),
    ) {
        let mut value = parse(&SAMPLE.replace("    icmps: [{fields: [{type: 8, family: IPv4}]}]\n", ""), "", "default").unwrap().remove(0).raw;
        let mut places = Vec::new();
        pointers(&value, String::new(), &mut places);
        let place = &places[at.index(places.len())];
        *value.pointer_mut(place).unwrap() = serde_json::from_str(new).unwrap();
        let parsed = parse(&value.to_string(), "", "default");
        match (parse_stored(&value, ""), &parsed) {
            (Ok(object), Ok(parsed)) => prop_assert_eq!(vec![&object], parsed.iter().map(|p| &p.object).collect::<Vec<_>>()),
            (Err(errors), Err(same)) => prop_assert_eq!(&errors, same),
            // No text is no object; a store holds one.
            (Err(_), Ok(parsed)) => prop_assert!(parsed.is_empty()),
            (Ok(object), Err(errors)) => prop_assert!(false, "{object:?} but {errors:?}"),
        }
        if let Ok(parsed) = parsed {
            let mut engine = Engine::new(Settings::default());
            prop_assert!(engine.replace(parsed.into_iter().map(|p| Change::Put(p.object)).collect()).is_ok());
        }
    }
}

fn pointers(value: &serde_json::Value, here: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| pointers(item, format!("{here}/{i}"), found));
        }
        serde_json::Value::Object(map) => {
            map.iter()
                .for_each(|(key, item)| pointers(item, format!("{here}/{}", key.replace('/', "~1")), found));
        }
        _ => {}
    }
    found.push(here);
}
