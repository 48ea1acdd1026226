//! Fields of a flow by its message, as its description has them.

use crate::{Flow, Party, mask::POOL};
use cel::{
    Value,
    objects::{Key, Map},
};
use prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage as _, Value as Field,
};
use std::{collections::HashMap, sync::Arc};

const PACKAGE: &str = "flow";

/// None where a flow has no such field, or that is a message that is not there.
pub fn field(flow: &Flow, name: &str) -> Option<Value> {
    let descriptor = POOL.as_ref()?.get_message_by_name("flow.Flow")?;
    let field = descriptor.get_field_by_name(name)?;
    let encoded = flow.to_message().encode_to_vec();
    let message = DynamicMessage::decode(descriptor, encoded.as_slice()).ok()?;
    is_there(&message, &field).then(|| of_field(&message.get_field(&field)))
}

/// Of one end of a flow.
pub fn workloads(party: &Party) -> Value {
    let text = |name: &str, text: &str| (name.to_owned(), Value::String(Arc::new(text.to_owned())));
    let each = party
        .workloads
        .iter()
        .map(|workload| map([text("name", &workload.name), text("kind", &workload.kind)].into_iter()));
    Value::List(Arc::new(each.collect()))
}

/// An enumeration by its name, or all of them as `flow`.
pub fn constant(name: &str) -> Option<Value> {
    let pool = POOL.as_ref()?;
    let of_package = || pool.all_enums().filter(|one| one.package_name() == PACKAGE);
    match name {
        PACKAGE => Some(map(of_package().map(|one| (one.name().to_owned(), numbers(&one))))),
        name => of_package().find(|one| one.name() == name).map(|one| numbers(&one)),
    }
}

/// The names that an enumeration has, or those of the enumerations in `flow`.
pub fn known(path: &str) -> String {
    let name = path.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('.')).unwrap_or(path);
    let enums = POOL.iter().flat_map(|pool| pool.all_enums().filter(|one| one.package_name() == PACKAGE));
    let names: Vec<String> = match name {
        PACKAGE => enums.map(|one| one.name().to_owned()).collect(),
        name => enums
            .filter(|one| one.name() == name)
            .flat_map(|one| one.values().map(|value| value.name().to_owned()).collect::<Vec<_>>())
            .collect(),
    };
    match names.as_slice() {
        [] => "no parts".to_owned(),
        names => names.join(", "),
    }
}

fn numbers(one: &EnumDescriptor) -> Value {
    map(one.values().map(|value| (value.name().to_owned(), Value::Int(value.number().into()))))
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let map: HashMap<Key, Value> = entries.map(|(name, value)| (Key::from(name), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

fn is_there(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    field.cardinality() == Cardinality::Repeated
        || !matches!(field.kind(), Kind::Message(_))
        || message.has_field(field)
}

/// The path to the first field on the way that is a list or no message, if there is one; fields that are not there are not looked at.
pub fn without_fields(way: &[&str]) -> Option<String> {
    let mut message = POOL.as_ref()?.get_message_by_name("flow.Flow")?;
    for (at, name) in way.iter().enumerate() {
        let field = message.get_field_by_name(name)?;
        match field.kind() {
            Kind::Message(inner) if !field.is_list() && !is_wrapper(&inner) => message = inner,
            _ => return way.get(..=at).map(|path| path.join(".")),
        }
    }
    None
}

fn is_wrapper(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.") && message.fields().len() == 1
}

/// Wrapped numbers as what they wrap; messages that are absent are left out.
fn of_message(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    if is_wrapper(&descriptor) {
        return message.get_field_by_name("value").map_or(Value::Null, |field| of_field(&field));
    }
    let fields = descriptor.fields().filter(|field| is_there(message, field));
    map(fields.map(|field| (field.name().to_owned(), of_field(&message.get_field(&field)))))
}

fn of_field(field: &Field) -> Value {
    match field {
        Field::Bool(yes) => Value::Bool(*yes),
        Field::I32(number) | Field::EnumNumber(number) => Value::Int((*number).into()),
        Field::I64(number) => Value::Int(*number),
        Field::U32(number) => Value::UInt((*number).into()),
        Field::U64(number) => Value::UInt(*number),
        Field::F32(number) => Value::Float((*number).into()),
        Field::F64(number) => Value::Float(*number),
        Field::String(text) => Value::String(Arc::new(text.clone())),
        Field::Bytes(bytes) => Value::Bytes(Arc::new(bytes.to_vec())),
        Field::Message(message) => of_message(message),
        Field::List(list) => Value::List(Arc::new(list.iter().map(of_field).collect())),
        // Hubble's interface has none.
        Field::Map(_) => Value::Null,
    }
}
