//! Which ports and addresses the host translates.

use crate::state::State;
use ciliate_api::settings::Config;
use ciliate_net::{Egress, Masquerade, Publish};
use ipnet::IpNet;

pub fn rules(config: &Config, pools: &[IpNet], state: &State) -> Masquerade {
    let mut publishes: Vec<Publish> = state
        .endpoints
        .values()
        .flat_map(|row| {
            let stored = &row.stored;
            stored.publish.iter().flat_map(move |publish| {
                stored.addresses().iter().map(move |address| Publish {
                    host_ip: publish.host_ip,
                    host_port: publish.host_port,
                    protocol: publish.protocol,
                    address,
                    port: publish.port,
                })
            })
        })
        .collect();
    publishes.sort();
    Masquerade {
        pools: pools.to_vec(),
        egress: match config.masquerade.is_on() {
            true => Egress::Masquerade,
            false => Egress::Keep,
        },
        publishes,
    }
}
