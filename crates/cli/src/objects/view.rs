//! How objects and the results of requests look.

use super::kind::full_name;
use crate::{
    output::{Page, Table, View},
    row,
};
use ciliate_api::{ApplyResult, ObjectView};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

/// `ciliumnetworkpolicy.cilium.io/rule1 created`, one a line, as kubectl says it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Results(pub ApplyResult);

impl View for Results {
    fn text(&self, _: &Page) -> String {
        let line = |r: &ciliate_api::ObjectResult| {
            format!("{}/{} {}\n", full_name(&r.object.kind), r.object.name, r.action)
        };
        self.0.results.iter().map(line).collect()
    }

    fn names(&self) -> Option<Vec<String>> {
        let name = |r: &ciliate_api::ObjectResult| format!("{}/{}", full_name(&r.object.kind), r.object.name);
        Some(self.0.results.iter().map(name).collect())
    }
}

/// Which columns a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    OneNamespace,
    AllNamespaces,
}

/// What was asked for: one object by name, or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Single,
    List,
}

/// Objects as they were applied.
#[derive(Debug)]
pub struct Objects {
    pub objects: Vec<ObjectView>,
    pub scope: Scope,
    pub shape: Shape,
    /// Whether kinds are mixed, so that names carry them.
    pub mixed: bool,
}

impl Serialize for Objects {
    /// The object itself, or a List as Kubernetes has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let (Shape::Single, [only]) = (self.shape, self.objects.as_slice()) {
            return only.raw.serialize(serializer);
        }
        let mut list = serializer.serialize_struct("List", 3)?;
        list.serialize_field("apiVersion", "v1")?;
        list.serialize_field("items", &self.objects.iter().map(|o| &o.raw).collect::<Vec<&Value>>())?;
        list.serialize_field("kind", "List")?;
        list.end()
    }
}

impl View for Objects {
    fn text(&self, page: &Page) -> String {
        let all = self.scope == Scope::AllNamespaces;
        let mut titles = vec!["NAME", "ENDPOINTS", "REVISION", "DESCRIPTION"];
        if all {
            titles.insert(0, "NAMESPACE");
        }
        let mut table = Table::new(&titles).wrap("DESCRIPTION");
        for object in &self.objects {
            let name = match self.mixed {
                true => format!("{}/{}", full_name(&object.object.kind), object.object.name),
                false => object.object.name.clone(),
            };
            let mut cells = row![name, object.endpoints, object.revision, description(&object.raw)];
            if all {
                cells.splice(0..0, row![object.object.namespace.as_deref().unwrap_or("")]);
            }
            table.push(cells);
        }
        table.render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        let name = |o: &ObjectView| format!("{}/{}", full_name(&o.object.kind), o.object.name);
        Some(self.objects.iter().map(name).collect())
    }
}

/// The description of a policy, or of each of its rules.
fn description(raw: &Value) -> String {
    let of = |spec: &Value| spec.get("description").and_then(Value::as_str).map(str::to_owned);
    let several = raw.get("specs").and_then(Value::as_array).into_iter().flatten().filter_map(of);
    raw.get("spec").and_then(of).into_iter().chain(several).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::{ObjectAction, ObjectRef, ObjectResult};
    use serde_json::json;

    fn object(namespace: Option<&str>, name: &str) -> ObjectView {
        ObjectView {
            object: ObjectRef {
                kind: "CiliumNetworkPolicy".to_owned(),
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            },
            revision: 2,
            endpoints: 1,
            raw: json!({"metadata": {"name": name}, "spec": {"description": "empire only"}}),
        }
    }

    #[test]
    fn results_read_as_from_kubectl() {
        let results = vec![ObjectResult {
            object: object(Some("default"), "rule1").object,
            action: ObjectAction::Created,
            warnings: Vec::new(),
        }];
        let results = Results(ApplyResult { results, revision: 2 });
        assert_eq!(results.text(&Page::plain()), "ciliumnetworkpolicy.cilium.io/rule1 created\n");
    }

    #[test]
    fn lists_are_tables_for_people_and_lists_for_programs() {
        let mut objects = Objects {
            objects: vec![object(Some("default"), "rule1")],
            scope: Scope::AllNamespaces,
            shape: Shape::List,
            mixed: true,
        };
        let expected = "\
NAMESPACE   NAME                                  ENDPOINTS   REVISION   DESCRIPTION
default     ciliumnetworkpolicy.cilium.io/rule1   1           2          empire only
";
        assert_eq!(objects.text(&Page::plain()), expected);
        let data = serde_json::to_value(&objects).unwrap();
        assert_eq!(data["items"][0]["metadata"]["name"], "rule1");
        objects.shape = Shape::Single;
        assert_eq!(serde_json::to_value(&objects).unwrap()["metadata"]["name"], "rule1");
    }
}
