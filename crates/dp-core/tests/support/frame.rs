//! Frames made by hand.

use ciliate_abi::Address;

pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The link-layer address of the endpoint with this last byte.
pub fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 1, last]
}

#[derive(Clone)]
pub struct Frame {
    protocol: u8,
    source: Address,
    destination: Address,
    body: Vec<u8>,
    /// Identification, offset in units of 8 bytes, more.
    fragment: Option<(u16, u16, bool)>,
    version: u8,
}

impl Frame {
    pub fn raw(protocol: u8, source: Address, destination: Address, body: Vec<u8>) -> Self {
        let version = if source.is_v4() { 4 } else { 6 };
        Self { protocol, source, destination, body, fragment: None, version }
    }

    pub fn over_ipv6(protocol: u8, source: Address, destination: Address, body: Vec<u8>) -> Self {
        Self { version: 6, ..Self::raw(protocol, source, destination, body) }
    }

    pub fn ports(protocol: u8, source: Address, from: u16, destination: Address, to: u16) -> Self {
        let mut body = [from.to_be_bytes(), to.to_be_bytes()].concat();
        body.extend([0; 8]);
        Self::raw(protocol, source, destination, body)
    }

    pub fn tcp(source: Address, from: u16, destination: Address, to: u16, flags: u8) -> Self {
        let mut body = [from.to_be_bytes(), to.to_be_bytes()].concat();
        body.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        Self::raw(6, source, destination, body)
    }

    pub fn fragment(mut self, identification: u16, offset: u16, more: bool) -> Self {
        self.fragment = Some((identification, offset, more));
        self
    }

    /// From the network header on.
    pub fn network(&self) -> Vec<u8> {
        let (id, offset, more) = self.fragment.unwrap_or_default();
        if self.version == 4 {
            let length = u16::try_from(20 + self.body.len()).unwrap().to_be_bytes();
            let position = (offset | u16::from(more) << 13).to_be_bytes();
            let id = id.to_be_bytes();
            let mut bytes = vec![0x45, 0, length[0], length[1], id[0], id[1], position[0], position[1], 64];
            bytes.extend([self.protocol, 0, 0]);
            bytes.extend(&self.source.0[12..]);
            bytes.extend(&self.destination.0[12..]);
            bytes.extend(&self.body);
            return bytes;
        }
        let mut body = Vec::new();
        let mut next = self.protocol;
        if self.fragment.is_some() {
            let position = (offset << 3 | u16::from(more)).to_be_bytes();
            body.extend([next, 0, position[0], position[1], 0, 0]);
            body.extend(id.to_be_bytes());
            next = 44;
        }
        body.extend(&self.body);
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
        bytes.extend(self.source.0);
        bytes.extend(self.destination.0);
        bytes.extend(body);
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        let [.., last] = self.source.0;
        let mut bytes = [GATEWAY_MAC, mac(last)].concat();
        bytes.extend(if self.version == 4 { [0x08, 0] } else { [0x86, 0xdd] });
        bytes.extend(self.network());
        bytes
    }
}
