//! Flows as bytes for the journal: small, quick to write, and readable only together with what came before, because what
//! many flows share is written out once and then named by its number.

mod model;

use ciliate_flow::{Flow, FlowId, Interface, Judgement, Node, Party, Run};
use std::{collections::HashMap, hash::Hash, net::IpAddr, sync::Arc};

/// A value as bytes and back; nothing back from bytes that are none.
pub(crate) trait Pack: Sized {
    fn pack(&self, out: &mut Vec<u8>);
    fn unpack(input: &mut &[u8]) -> Option<Self>;
}

/// What has been written so far.
#[derive(Default)]
pub(crate) struct Packer {
    /// By their numbers; there is hardly ever more than one.
    runs: Vec<Run>,
    nodes: Known<Node>,
    interfaces: Known<Interface>,
    parties: Known<Party>,
    names: Known<[String]>,
    judgements: Known<Judgement>,
}

/// What has been read so far.
#[derive(Default)]
pub(crate) struct Unpacker {
    runs: Vec<Arc<Run>>,
    nodes: Vec<Arc<Node>>,
    interfaces: Vec<Arc<Interface>>,
    parties: Vec<Arc<Party>>,
    names: Vec<Arc<[String]>>,
    judgements: Vec<Arc<Judgement>>,
}

/// Numbers of values. Most come again in the same place of memory, which is quicker to look up than what lies there.
struct Known<T: ?Sized> {
    places: HashMap<usize, (Arc<T>, u64), foldhash::fast::FixedState>,
    values: HashMap<Arc<T>, u64, foldhash::fast::FixedState>,
}

/// Places that are remembered at a time.
const PLACES: usize = 8192;

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Self { places: HashMap::default(), values: HashMap::default() }
    }
}

impl<T: Eq + Hash + ?Sized> Known<T> {
    /// Writes the number, and behind one that is new the value.
    fn pack(&mut self, value: &Arc<T>, out: &mut Vec<u8>, write: impl FnOnce(&T, &mut Vec<u8>)) {
        let place = Arc::as_ptr(value).addr();
        if let Some((_, number)) = self.places.get(&place) {
            return number.pack(out);
        }
        let number = self.number(value, out, write);
        if self.places.len() >= PLACES {
            self.places.clear();
        }
        // Held, so that nothing else comes to lie in this place.
        self.places.insert(place, (Arc::clone(value), number));
    }

    /// Of a value that lies in a place that is not known.
    fn number(&mut self, value: &Arc<T>, out: &mut Vec<u8>, write: impl FnOnce(&T, &mut Vec<u8>)) -> u64 {
        if let Some(number) = self.values.get(value) {
            number.pack(out);
            return *number;
        }
        let number = u64::try_from(self.values.len()).unwrap_or(u64::MAX);
        number.pack(out);
        write(value, out);
        self.values.insert(Arc::clone(value), number);
        number
    }
}

fn known<T, A: ?Sized>(read: &mut Vec<Arc<A>>, input: &mut &[u8]) -> Option<Arc<A>>
where
    T: Pack + Into<Arc<A>>,
{
    let number = usize::try_from(u64::unpack(input)?).ok()?;
    if number == read.len() {
        read.push(T::unpack(input)?.into());
    }
    read.get(number).cloned()
}

impl Packer {
    pub fn pack(&mut self, flow: &Flow, out: &mut Vec<u8>) {
        let Flow {
            id: FlowId { run, sequence },
            time,
            node,
            source,
            destination,
            event,
            verdict,
            direction,
            answer,
            transport,
            interface,
            egress,
            ingress,
            match_type,
            request,
            rare,
        } = flow;
        self.pack_run(*run, out);
        sequence.pack(out);
        time.0.pack(out);
        self.nodes.pack(node, out, Pack::pack);
        for end in [source, destination] {
            end.address.pack(out);
            self.parties.pack(&end.party, out, Pack::pack);
            end.names.is_some().pack(out);
            if let Some(names) = &end.names {
                self.names.pack(names, out, pack_all);
            }
        }
        event.pack(out);
        verdict.pack(out);
        direction.pack(out);
        answer.pack(out);
        transport.pack(out);
        interface.is_some().pack(out);
        if let Some(interface) = interface {
            self.interfaces.pack(interface, out, Pack::pack);
        }
        for judgement in [egress, ingress] {
            judgement.is_some().pack(out);
            if let Some(judgement) = judgement {
                self.judgements.pack(judgement, out, Pack::pack);
            }
        }
        match_type.pack(out);
        request.pack(out);
        rare.pack(out);
    }

    fn pack_run(&mut self, run: Run, out: &mut Vec<u8>) {
        let known = self.runs.iter().position(|known| *known == run);
        u64::try_from(known.unwrap_or(self.runs.len())).unwrap_or(u64::MAX).pack(out);
        if known.is_none() {
            run.pack(out);
            self.runs.push(run);
        }
    }
}

impl Unpacker {
    pub fn unpack(&mut self, input: &mut &[u8]) -> Option<Flow> {
        let run = *known::<Run, _>(&mut self.runs, input)?;
        let sequence = u64::unpack(input)?;
        let time = ciliate_flow::Time(u64::unpack(input)?);
        let node = known::<Node, _>(&mut self.nodes, input)?;
        let mut end = |input: &mut &[u8]| {
            let address = Option::<IpAddr>::unpack(input)?;
            let party = known::<Party, _>(&mut self.parties, input)?;
            let names = match bool::unpack(input)? {
                true => Some(known::<Vec<String>, [String]>(&mut self.names, input)?),
                false => None,
            };
            Some(ciliate_flow::End { address, party, names })
        };
        let (source, destination) = (end(input)?, end(input)?);
        let (event, verdict, direction) = (Pack::unpack(input)?, Pack::unpack(input)?, Pack::unpack(input)?);
        let (answer, transport) = (Pack::unpack(input)?, Pack::unpack(input)?);
        let interface = match bool::unpack(input)? {
            true => Some(known::<Interface, _>(&mut self.interfaces, input)?),
            false => None,
        };
        let mut judgement = |input: &mut &[u8]| {
            Some(match bool::unpack(input)? {
                true => Some(known::<Judgement, _>(&mut self.judgements, input)?),
                false => None,
            })
        };
        let (egress, ingress) = (judgement(input)?, judgement(input)?);
        Some(Flow {
            id: FlowId { run, sequence },
            time,
            node,
            source,
            destination,
            event,
            verdict,
            direction,
            answer,
            transport,
            interface,
            egress,
            ingress,
            match_type: Pack::unpack(input)?,
            request: Pack::unpack(input)?,
            rare: Pack::unpack(input)?,
        })
    }
}

impl Pack for u64 {
    /// Seven bits a byte, the lowest first.
    fn pack(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return out.push(low & 0x7f);
            }
            out.push(low | 0x80);
        }
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u8::unpack(input)?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl Pack for u8 {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(*first)
    }
}

/// By way of a wider number.
macro_rules! pack_as_u64 {
    ($($kind:ty),*) => {$(
        impl Pack for $kind {
            fn pack(&self, out: &mut Vec<u8>) {
                u64::from(*self).pack(out);
            }

            fn unpack(input: &mut &[u8]) -> Option<Self> {
                u64::unpack(input)?.try_into().ok()
            }
        }
    )*};
}
pack_as_u64!(u16, u32);

impl Pack for i32 {
    fn pack(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().rotate_left(1).pack(out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        Some(u32::unpack(input)?.rotate_right(1).cast_signed())
    }
}

impl Pack for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        match u8::unpack(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Pack for String {
    fn pack(&self, out: &mut Vec<u8>) {
        u64::try_from(self.len()).unwrap_or(u64::MAX).pack(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u64::unpack(input)?).ok()?;
        let (text, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }
}

/// How many there are, and then each.
fn pack_all<T: Pack>(items: &[T], out: &mut Vec<u8>) {
    u64::try_from(items.len()).unwrap_or(u64::MAX).pack(out);
    items.iter().for_each(|item| item.pack(out));
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        pack_all(self, out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        // No room ahead: the number may be wrong.
        (0..u64::unpack(input)?).map(|_| T::unpack(input)).collect()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        self.is_some().pack(out);
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        Some(match bool::unpack(input)? {
            true => Some(T::unpack(input)?),
            false => None,
        })
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        T::pack(self, out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        T::unpack(input).map(Self::new)
    }
}

impl Pack for IpAddr {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            Self::V6(address) => {
                out.push(6);
                out.extend_from_slice(&address.octets());
            }
        }
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        match u8::unpack(input)? {
            4 => {
                let (octets, rest) = input.split_first_chunk::<4>()?;
                *input = rest;
                Some(Self::from(*octets))
            }
            6 => {
                let (octets, rest) = input.split_first_chunk::<16>()?;
                *input = rest;
                Some(Self::from(*octets))
            }
            _ => None,
        }
    }
}
