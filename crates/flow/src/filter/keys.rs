//! Names of fields in filters that people write. A filter with a name that nobody knows would be one without it, which matches more.

use crate::mask::POOL;
use prost_reflect::{Kind, MessageDescriptor};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// The names in a value, however they are nested.
#[derive(Debug)]
pub enum Keys<K> {
    Map(Vec<(K, Keys<K>)>),
    List(Vec<Keys<K>>),
    Scalar,
}

/// A name that is none.
#[derive(Debug)]
pub struct Unknown<'a, K> {
    pub key: &'a K,
    pub known: String,
}

impl<K> Keys<K> {
    /// Whether all are names of a filter's fields.
    ///
    /// # Errors
    /// Returns the first that is not.
    pub fn check_filter<'a>(&'a self, text: &impl Fn(&'a K) -> &'a str) -> Result<(), Unknown<'a, K>> {
        match (POOL.as_ref().and_then(|pool| pool.get_message_by_name("flow.FlowFilter")), self) {
            (Some(filter), _) => self.check(&filter, text),
            // Never: descriptors are built with the program. Without them no name is known.
            (None, Self::Map(map)) => map.first().map_or(Ok(()), |(key, _)| {
                Err(Unknown { key, known: "none that this program knows".to_owned() })
            }),
            (None, Self::List(_) | Self::Scalar) => Ok(()),
        }
    }

    fn check<'a>(
        &'a self,
        message: &MessageDescriptor,
        text: &impl Fn(&'a K) -> &'a str,
    ) -> Result<(), Unknown<'a, K>> {
        match self {
            Self::Scalar => Ok(()),
            Self::List(list) => list.iter().try_for_each(|keys| keys.check(message, text)),
            Self::Map(map) => map.iter().try_for_each(|(key, below)| {
                let name = text(key);
                let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
                let Some(field) = field else {
                    let mut known: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
                    known.sort();
                    return Err(Unknown { key, known: known.join(", ") });
                };
                match field.kind() {
                    Kind::Message(message) => below.check(&message, text),
                    _ => Ok(()),
                }
            }),
        }
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Keys<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor(PhantomData))
    }
}

struct KeysVisitor<K>(PhantomData<K>);

macro_rules! scalars {
    ($($visit:ident: $kind:ty),+) => {$(
        fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Keys::Scalar)
        }
    )+};
}

impl<'de, K: Deserialize<'de>> Visitor<'de> for KeysVisitor<K> {
    type Value = Keys<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Keys::Scalar)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Keys::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Keys::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(keys) = list.next_element()? {
            found.push(keys);
        }
        Ok(Keys::List(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(entry) = map.next_entry()? {
            found.push(entry);
        }
        Ok(Keys::Map(found))
    }
}
