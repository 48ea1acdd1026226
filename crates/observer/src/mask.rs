//! Which fields of a flow a client wants.
//!
//! A mask names fields; what goes over the wire has numbers. So masks are kept as numbers and applied to the encoded flow, which
//! is right for every field there is and every one to come.

use ciliate_hubble::{DESCRIPTORS, FieldMask, flow::Flow};
use prost::{
    Message as _,
    bytes::{Buf, Bytes},
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{DescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;

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
    #[error("field_mask: {path:?} names no field: {message} has no {part:?}, it has {known}")]
    Unknown { path: String, message: String, part: String, known: String },
    #[error("field_mask: {path:?} goes into {part:?}, which has no fields")]
    Scalar { path: String, part: String },
    #[error("field_mask: this node does not know its own interface")]
    Descriptors,
}

impl Mask {
    /// None of a mask that names nothing, which is everything.
    ///
    /// # Errors
    /// When a path names no field of `flow.Flow`.
    pub fn new(mask: &FieldMask) -> Result<Option<Self>, MaskError> {
        if mask.paths.is_empty() {
            return Ok(None);
        }
        let files = FileDescriptorSet::decode(DESCRIPTORS).map_err(|_| MaskError::Descriptors)?;
        let mut fields = Fields::These(BTreeMap::new());
        for path in &mask.paths {
            let path = path.strip_prefix("flow.").unwrap_or(path);
            fields.add(&files, ".flow.Flow", path, path)?;
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

impl Fields {
    fn add(
        &mut self,
        files: &FileDescriptorSet,
        message: &str,
        rest: &str,
        path: &str,
    ) -> Result<(), MaskError> {
        let Self::These(fields) = self else { return Ok(()) };
        let (part, rest) = rest.split_once('.').map_or((rest, None), |(part, rest)| (part, Some(rest)));
        let described = find(files, message).ok_or(MaskError::Descriptors)?;
        let field = described.field.iter().find(|field| field.name() == part).ok_or_else(|| {
            let known: Vec<_> = described.field.iter().map(|field| field.name()).collect();
            MaskError::Unknown {
                path: path.to_owned(),
                message: message.trim_start_matches('.').to_owned(),
                part: part.to_owned(),
                known: known.join(", "),
            }
        })?;
        let number = u32::try_from(field.number()).map_err(|_| MaskError::Descriptors)?;
        let Some(rest) = rest else {
            fields.insert(number, Self::Whole);
            return Ok(());
        };
        if field.type_name().is_empty() || find(files, field.type_name()).is_none() {
            return Err(MaskError::Scalar { path: path.to_owned(), part: part.to_owned() });
        }
        let inner = fields.entry(number).or_insert_with(|| Self::These(BTreeMap::new()));
        inner.add(files, field.type_name(), rest, path)
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

fn find<'a>(files: &'a FileDescriptorSet, name: &str) -> Option<&'a DescriptorProto> {
    let (package, name) = name.trim_start_matches('.').rsplit_once('.')?;
    let file = files.file.iter().find(|file| file.package() == package)?;
    file.message_type.iter().find(|message| message.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_hubble::flow::{Endpoint, Ip, Layer4, Tcp, layer4::Protocol};

    fn mask(paths: &[&str]) -> Result<Option<Mask>, MaskError> {
        Mask::new(&FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
    }

    #[test]
    fn only_what_the_mask_names_is_left() {
        let endpoint = Endpoint {
            id: 7,
            pod_name: "web".to_owned(),
            namespace: "demo".to_owned(),
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
        let mask = mask(&["source.pod_name", "IP", "source_names", "l4.TCP.destination_port"]);
        let masked = mask.expect("a mask").expect("not everything").apply(&flow);
        let expected = Flow {
            source: Some(Endpoint { pod_name: "web".to_owned(), ..Endpoint::default() }),
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
    fn a_wrong_mask_is_told_what_is_wrong() {
        assert_eq!(mask(&[]), Ok(None));
        let error = |path| mask(&[path]).expect_err("a wrong mask").to_string();
        assert!(error("source.pod").starts_with(
            "field_mask: \"source.pod\" names no field: flow.Endpoint has no \"pod\", it has ID, identity,"
        ));
        assert_eq!(error("uuid.x"), "field_mask: \"uuid.x\" goes into \"uuid\", which has no fields");
    }
}
