//! Which fields of a flow somebody wants.
//!
//! A mask names fields; what goes over the wire has numbers. So masks are kept as numbers and applied to the encoded flow, which
//! is right for every field there is and every one to come.

use ciliate_hubble::{DESCRIPTORS, flow::Flow};
use prost::{
    Message as _,
    bytes::{Buf, Bytes},
    encoding::{WireType, decode_key, decode_varint},
};
use prost_reflect::{DescriptorPool, Kind};
use std::{collections::BTreeMap, sync::LazyLock};

/// None never happens: the descriptors are built with the program, and tests read them.
pub static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// What is left of a flow.
#[derive(Debug, PartialEq, Eq)]
pub struct Mask(Fields);

#[derive(Debug, PartialEq, Eq)]
enum Fields {
    Whole,
    /// By number.
    These(BTreeMap<u32, Fields>),
}

/// Why a mask cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    #[error("{path:?} names no field: {message} has no {part:?}, it has {known}")]
    Unknown { path: String, message: String, part: String, known: String },
    #[error("{path:?} goes into {part:?}, which has no fields")]
    Scalar { path: String, part: String },
    #[error("this program does not know its own interface")]
    Descriptors,
}

impl Mask {
    /// Of paths such as `source.pod_name`, with or without `flow.` in front; None of no paths, which is everything.
    ///
    /// # Errors
    /// When a path names no field of `flow.Flow`.
    pub fn new(paths: &[impl AsRef<str>]) -> Result<Option<Self>, MaskError> {
        if paths.is_empty() {
            return Ok(None);
        }
        let mut fields = Fields::These(BTreeMap::new());
        for path in paths {
            fields.add(&numbers(path.as_ref())?);
        }
        Ok(Some(Self(fields)))
    }

    /// The flow with the fields of the mask and no others.
    #[must_use]
    pub fn apply(&self, flow: &Flow) -> Flow {
        let mut masked = Vec::new();
        // What was just encoded is well-formed.
        let _ = self.0.copy(Bytes::from(flow.encode_to_vec()), &mut masked);
        Flow::decode(masked.as_slice()).unwrap_or_default()
    }
}

/// Of the fields on a path, the outermost first.
fn numbers(path: &str) -> Result<Vec<u32>, MaskError> {
    walk(path.strip_prefix("flow.").unwrap_or(path))
}

/// The same of a path that begins in the flow.
pub fn walk(path: &str) -> Result<Vec<u32>, MaskError> {
    let flow = POOL.as_ref().and_then(|pool| pool.get_message_by_name("flow.Flow"));
    let mut message = flow.ok_or(MaskError::Descriptors)?;
    let mut numbers = Vec::new();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(field) = message.get_field_by_name(part) else {
            let known: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
            return Err(MaskError::Unknown {
                path: path.to_owned(),
                message: message.full_name().to_owned(),
                part: part.to_owned(),
                known: known.join(", "),
            });
        };
        numbers.push(field.number());
        match field.kind() {
            Kind::Message(inner) => message = inner,
            _ if parts.peek().is_none() => {}
            _ => return Err(MaskError::Scalar { path: path.to_owned(), part: part.to_owned() }),
        }
    }
    Ok(numbers)
}

impl Fields {
    fn add(&mut self, path: &[u32]) {
        match (self, path) {
            (these, []) => *these = Self::Whole,
            (Self::Whole, _) => {}
            (Self::These(fields), [outer, inner @ ..]) => {
                fields.entry(*outer).or_insert_with(|| Self::These(BTreeMap::new())).add(inner);
            }
        }
    }

    /// Copies fields as protobuf's encoding has them; none where that ends too early.
    fn copy(&self, mut from: Bytes, to: &mut Vec<u8>) -> Option<()> {
        while from.has_remaining() {
            let begin = from.clone();
            let (number, kind) = decode_key(&mut from).ok()?;
            let mut inside = None;
            match kind {
                WireType::Varint => drop(decode_varint(&mut from).ok()?),
                WireType::ThirtyTwoBit => skip(&mut from, 4)?,
                WireType::SixtyFourBit => skip(&mut from, 8)?,
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut from).ok()?).ok()?;
                    inside = Some((length <= from.len()).then(|| from.split_to(length))?);
                }
                // Not part of this version of the encoding.
                WireType::StartGroup | WireType::EndGroup => return None,
            }
            let wanted = match self {
                Self::Whole => Some(&Self::Whole),
                Self::These(fields) => fields.get(&number),
            };
            match (wanted, inside) {
                (None, _) => {}
                (Some(Self::Whole), _) | (Some(_), None) => {
                    let length = begin.len().saturating_sub(from.len());
                    to.extend_from_slice(begin.get(..length)?);
                }
                (Some(fields), Some(inside)) => {
                    let mut copied = Vec::new();
                    fields.copy(inside, &mut copied)?;
                    prost::encoding::bytes::encode(number, &copied, to);
                }
            }
        }
        Some(())
    }
}

fn skip(from: &mut Bytes, length: usize) -> Option<()> {
    from.get(..length)?;
    from.advance(length);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_hubble::flow::{Endpoint, Ip, Layer4, Tcp, Workload, layer4::Protocol};

    #[test]
    fn only_what_the_mask_names_is_left() {
        let endpoint = Endpoint {
            id: 7,
            pod_name: "web".to_owned(),
            namespace: "demo".to_owned(),
            workloads: vec![Workload { name: "web".to_owned(), kind: "Deployment".to_owned() }],
            ..Endpoint::default()
        };
        let tcp = Tcp { source_port: 4000, destination_port: 80, flags: None };
        let flow = Flow {
            uuid: "x".to_owned(),
            source: Some(endpoint.clone()),
            destination: Some(endpoint.clone()),
            ip: Some(Ip { source: "10.0.0.1".to_owned(), ..Ip::default() }),
            l4: Some(Layer4 { protocol: Some(Protocol::Tcp(tcp)) }),
            source_names: vec!["a".to_owned(), "b".to_owned()],
            ..Flow::default()
        };
        let paths = [
            "source.workloads.name",
            "flow.source.pod_name",
            "IP",
            "source_names",
            "l4.TCP.destination_port",
        ];
        let masked = Mask::new(&paths).expect("a mask").expect("not everything").apply(&flow);
        let source = Endpoint {
            pod_name: "web".to_owned(),
            workloads: vec![Workload { name: "web".to_owned(), kind: String::new() }],
            ..Endpoint::default()
        };
        let expected = Flow {
            source: Some(source),
            ip: flow.ip.clone(),
            l4: Some(Layer4 {
                protocol: Some(Protocol::Tcp(Tcp { destination_port: 80, ..Tcp::default() })),
            }),
            source_names: flow.source_names.clone(),
            ..Flow::default()
        };
        assert_eq!(masked, expected);
    }

    #[test]
    fn all_of_a_field_is_more_than_parts_of_it() {
        let mask = |paths: &[&str]| Mask::new(paths).expect("a mask");
        let whole = mask(&["source"]);
        assert_eq!(mask(&["source", "source.pod_name"]), whole);
        assert_eq!(mask(&["source.pod_name", "source"]), whole);
        assert_eq!(mask(&[]), None);
    }

    #[test]
    fn a_wrong_mask_is_told_what_is_wrong() {
        for (path, message) in [
            ("sauce", "\"sauce\" names no field: flow.Flow has no \"sauce\", it has time, verdict,"),
            (
                "source.pod",
                "\"source.pod\" names no field: flow.Endpoint has no \"pod\", it has ID, identity,",
            ),
            ("uuid.x", "\"uuid.x\" goes into \"uuid\", which has no fields"),
            ("", "\"\" names no field: "),
        ] {
            let error = Mask::new(&["source", path]).expect_err("a wrong mask").to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
