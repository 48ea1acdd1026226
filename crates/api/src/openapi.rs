//! The OpenAPI document, made from the table of routes and the types.

use crate::{
    ApiError, ROUTES, Route,
    route::{Method, Shape},
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// OpenAPI 3.1.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        let operation = operation(route, &mut generator);
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.to_string().to_lowercase(), operation);
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ciliate agent",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HTTP on a unix socket; the local API of one node's agent.",
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if let Some(content) = content(route.query, generator) {
        parameters.push(json!({"name": "json", "in": "query", "content": content}));
    }
    let error = generator.subschema_for::<ApiError>();
    let mut responses = json!({
        "default": {"description": "Refused; nothing has changed", "content": {"application/json": {"schema": error}}},
    });
    let (status, success) = match content(route.response, generator) {
        Some(content) => ("200", json!({"description": "Done", "content": content})),
        None => ("204", json!({"description": "Done"})),
    };
    if let Some(responses) = responses.as_object_mut() {
        responses.insert(status.to_owned(), success);
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(content), Some(operation)) = (content(route.request, generator), operation.as_object_mut()) {
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    operation
}

fn content(shape: Shape, generator: &mut SchemaGenerator) -> Option<Value> {
    match shape {
        Shape::None => None,
        Shape::Json(schema) => Some(json!({"application/json": {"schema": schema(generator)}})),
        Shape::Lines(schema) => Some(json!({"application/x-ndjson": {"schema": schema(generator)}})),
        Shape::Text => Some(json!({"text/plain": {"schema": {"type": "string"}}})),
    }
}

/// `get_bpf_policy_endpoint`: unique because method and path are.
fn operation_id(route: &Route) -> String {
    let verb = match route.method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Patch => "patch",
        Method::Delete => "delete",
    };
    let path = route.path.strip_prefix("/v1").unwrap_or(route.path);
    format!("{verb}{}", path.replace(['{', '}'], "").replace(['/', '.'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.clone());
                }
                map.values().for_each(|v| references(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_of_the_document_resolves_and_every_id_is_unique() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for target in found {
            let pointer = target.strip_prefix('#').expect("local");
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        let ids: BTreeSet<String> = ROUTES.iter().map(operation_id).collect();
        assert_eq!(ids.len(), ROUTES.len());
    }
}
