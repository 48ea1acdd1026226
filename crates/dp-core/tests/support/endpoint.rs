//! Addresses and rows of endpoints that are told apart by a number.

use crate::frame::{GATEWAY_MAC, mac};
use ciliate_abi::{Address, Endpoint};
use ciliate_dp_core::model::Memory;

pub fn v4(last: u8) -> Address {
    Address::v4([10, 0, 0, last])
}

pub fn v6(last: u8) -> Address {
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}

/// Gives an endpoint both of its addresses.
pub fn put_endpoint(memory: &mut Memory, last: u8, rule_set: u32) {
    for address in [v4(last), v6(last)] {
        let row = Endpoint {
            identity: 1000 + u32::from(last),
            rule_set,
            epoch: 100 + u32::from(last),
            ifindex: u32::from(last),
            mac: mac(last),
            id: u16::from(last),
            gateway_mac: GATEWAY_MAC,
            flags: 0,
        };
        memory.endpoints.insert(address, row);
    }
}
