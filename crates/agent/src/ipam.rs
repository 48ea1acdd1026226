//! Addresses of endpoints, from one pool for each family.

use crate::failure::{Failure, Result};
use ciliate_api::{PoolStatus, settings::Config};
use ipnet::IpNet;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// One pool. Addresses are counted from its network address; the first after that is the gateway's.
#[derive(Clone, Debug)]
struct Pool {
    net: IpNet,
    /// First and last that endpoints may have.
    first: u128,
    last: u128,
    used: BTreeSet<u128>,
    /// Where the search goes on, so that an address rests as long as possible before it is given again.
    next: u128,
}

/// What an endpoint has, at most one of each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

impl Pool {
    fn new(net: IpNet) -> Self {
        let (network, end) = (number(net.network()), number(net.broadcast()));
        // The last address of an IPv4 network is its broadcast address.
        let last = match net {
            IpNet::V4(_) => end.saturating_sub(1),
            IpNet::V6(_) => end,
        };
        let first = network.saturating_add(2);
        Self { net, first, last, used: BTreeSet::new(), next: first }
    }

    fn address(&self, number: u128) -> IpAddr {
        match (self.net, u32::try_from(number)) {
            (IpNet::V4(_), Ok(bits)) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            (IpNet::V4(_) | IpNet::V6(_), _) => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    fn gateway(&self) -> IpAddr {
        self.address(self.first.saturating_sub(1))
    }

    fn take(&mut self) -> Result<IpAddr> {
        let free =
            self.free_between(self.next, self.last).or_else(|| self.free_between(self.first, self.last));
        let free = free.ok_or_else(|| {
            Failure::conflict(format!(
                "pool {} has no free address left ({} in use): delete endpoints, or give {} a larger network",
                self.net,
                self.used.len(),
                match self.net {
                    IpNet::V4(_) => "--ipv4-pool",
                    IpNet::V6(_) => "--ipv6-pool",
                }
            ))
        })?;
        self.used.insert(free);
        self.next = free.saturating_add(1);
        Ok(self.address(free))
    }

    fn free_between(&self, first: u128, last: u128) -> Option<u128> {
        let mut candidate = first;
        for used in self.used.range(first..) {
            if *used != candidate {
                break;
            }
            candidate = candidate.checked_add(1)?;
        }
        (candidate <= last).then_some(candidate)
    }

    fn claim(&mut self, address: IpAddr) -> Result<()> {
        let wanted = number(address);
        if !(self.first..=self.last).contains(&wanted) {
            return Err(Failure::invalid(format!(
                "address {address} cannot be an endpoint's: choose one from {} to {} (pool {})",
                self.address(self.first),
                self.address(self.last),
                self.net
            )));
        }
        match self.used.insert(wanted) {
            true => Ok(()),
            false => Err(Failure::conflict(format!("address {address} is in use: choose another or none"))),
        }
    }

    fn status(&self) -> PoolStatus {
        let clamp = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        PoolStatus {
            pool: self.net,
            used: clamp(self.used.len().try_into().unwrap_or(u128::MAX)),
            capacity: clamp(self.last.saturating_sub(self.first).saturating_add(1)),
        }
    }
}

/// The pools of the node.
#[derive(Clone, Debug)]
pub struct Ipam {
    v4: Option<Pool>,
    v6: Option<Pool>,
}

impl Ipam {
    pub fn new(config: &Config) -> Self {
        Self {
            v4: config.enable_ipv4.is_on().then(|| Pool::new(config.ipv4_pool.into())),
            v6: config.enable_ipv6.is_on().then(|| Pool::new(config.ipv6_pool.into())),
        }
    }

    fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.v4.iter().chain(&self.v6)
    }

    /// The router's address of each family.
    pub fn gateways(&self) -> Vec<IpAddr> {
        self.pools().map(Pool::gateway).collect()
    }

    pub fn networks(&self) -> Vec<IpNet> {
        self.pools().map(|p| p.net).collect()
    }

    /// Those wanted, and one of each other family; all or none.
    pub fn allocate(&mut self, wanted: &[IpAddr]) -> Result<Addresses> {
        let before = self.clone();
        let result = self.try_allocate(wanted);
        if result.is_err() {
            *self = before;
        }
        result
    }

    fn try_allocate(&mut self, wanted: &[IpAddr]) -> Result<Addresses> {
        let mut given = Addresses::default();
        for &address in wanted {
            let (pool, twice) = match address {
                IpAddr::V4(_) => (self.v4.as_mut(), given.v4.is_some()),
                IpAddr::V6(_) => (self.v6.as_mut(), given.v6.is_some()),
            };
            if twice {
                return Err(Failure::invalid(format!(
                    "address {address} is one too many: an endpoint has at most one of each family"
                )));
            }
            pool.ok_or_else(|| {
                Failure::invalid(format!("address {address}: this node does not use that family"))
            })?
            .claim(address)?;
            match address {
                IpAddr::V4(a) => given.v4 = Some(a),
                IpAddr::V6(a) => given.v6 = Some(a),
            }
        }
        let rest = [
            self.v4.as_mut().filter(|_| given.v4.is_none()),
            self.v6.as_mut().filter(|_| given.v6.is_none()),
        ];
        for pool in rest.into_iter().flatten() {
            match pool.take()? {
                IpAddr::V4(a) => given.v4 = Some(a),
                IpAddr::V6(a) => given.v6 = Some(a),
            }
        }
        Ok(given)
    }

    /// Keeps a restored endpoint's addresses from being given again; an address outside the pools is nobody else's.
    pub fn restore(&mut self, addresses: Addresses) {
        for address in addresses.iter() {
            let pool = match address {
                IpAddr::V4(_) => self.v4.as_mut(),
                IpAddr::V6(_) => self.v6.as_mut(),
            };
            if let Some(pool) = pool.filter(|p| p.net.contains(&address)) {
                let taken = number(address);
                pool.used.insert(taken);
                pool.next = pool.next.max(taken.saturating_add(1));
            }
        }
    }

    pub fn release(&mut self, addresses: Addresses) {
        for address in addresses.iter() {
            for pool in self.v4.iter_mut().chain(&mut self.v6).filter(|p| p.net.contains(&address)) {
                pool.used.remove(&number(address));
            }
        }
    }

    pub fn status(&self) -> Vec<PoolStatus> {
        self.pools().map(Pool::status).collect()
    }
}

/// The first address of each family.
pub fn by_family(addresses: &[IpAddr]) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let v4 = addresses.iter().find_map(|address| match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    let v6 = addresses.iter().find_map(|address| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(*v6),
    });
    (v4, v6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn ipam(v4: &str, v6: &str) -> Ipam {
        let flags: BTreeMap<String, String> =
            [("ipv4-pool", v4), ("ipv6-pool", v6)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Ipam::new(&ciliate_api::settings::resolve(&flags, |_| None, None).expect("valid").1)
    }

    #[test]
    fn every_address_is_given_once_and_then_the_pool_is_named() {
        let mut ipam = ipam("10.9.0.0/29", "fd00::/64");
        assert_eq!(ipam.gateways(), ["10.9.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        let given: Vec<Addresses> = (0..5).map(|_| ipam.allocate(&[]).expect("free")).collect();
        let v4: Vec<String> = given.iter().map(|a| a.v4.unwrap().to_string()).collect();
        assert_eq!(v4, ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]);
        let before = ipam.status();
        let error = ipam.allocate(&[]).expect_err("exhausted").to_string();
        assert!(error.contains("10.9.0.0/29"), "{error}");
        assert_eq!(ipam.status(), before, "a failed allocation takes nothing from the other pool");
        ipam.release(given[1]);
        assert_eq!(ipam.allocate(&[]).expect("released").v4, given[1].v4);
    }

    #[test]
    fn an_address_rests_before_it_is_given_again() {
        let mut ipam = ipam("10.9.0.0/29", "fd00::/64");
        let first = ipam.allocate(&[]).expect("free");
        ipam.release(first);
        assert_ne!(ipam.allocate(&[]).expect("free"), first);
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let mut ipam = ipam("10.9.0.0/29", "fd00::/64");
        let mut ask = |list: &[&str]| {
            let wanted: Vec<IpAddr> = list.iter().map(|a| a.parse().unwrap()).collect();
            ipam.allocate(&wanted)
                .map(|a| a.iter().map(|a| a.to_string()).collect::<Vec<_>>())
                .map_err(|e| e.0.status)
        };
        assert_eq!(ask(&["fd00::77"]), Ok(vec!["10.9.0.2".to_owned(), "fd00::77".to_owned()]));
        assert_eq!(ask(&["fd00::77"]), Err(409));
        for wrong in
            [&["10.9.0.0"] as &[&str], &["10.9.0.1"], &["10.9.0.7"], &["10.8.0.2"], &["10.9.0.3", "10.9.0.4"]]
        {
            assert_eq!(ask(wrong), Err(400), "{wrong:?}");
        }
        assert_eq!(ask(&["10.9.0.3"]).map(|a| a[0].clone()), Ok("10.9.0.3".to_owned()));
    }
}
