//! What addresses were resolved from, as far as the proxy has told.

use ciliate_types::EndpointId;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
};

/// Addresses that are remembered, each once for every endpoint that resolved it; then the oldest are forgotten.
const ADDRESSES: usize = 65_536;
/// Names of one address; later ones are not remembered.
const NAMES: usize = 16;

/// The endpoint that asked, 0 for what an administrator says, and the address that it was told.
type Key = (u16, IpAddr);

#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<Key, Arc<[String]>, foldhash::fast::RandomState>,
    /// In the order in which they became known.
    order: VecDeque<Key>,
}

impl Names {
    /// That an endpoint, or an administrator, says that a name resolves to these addresses.
    pub fn learn(
        &mut self,
        endpoint: Option<EndpointId>,
        name: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) {
        let name = name.strip_suffix('.').unwrap_or(name);
        for address in addresses {
            let key = (endpoint.map_or(0, EndpointId::get), address);
            match self.known.get_mut(&key) {
                Some(names) if names.iter().any(|known| known == name) || names.len() >= NAMES => {}
                Some(names) => *names = names.iter().cloned().chain([name.to_owned()]).collect(),
                None => {
                    if self.order.len() >= ADDRESSES
                        && let Some(oldest) = self.order.pop_front()
                    {
                        self.known.remove(&oldest);
                    }
                    self.order.push_back(key);
                    self.known.insert(key, Arc::from([name.to_owned()]));
                }
            }
        }
    }

    /// The names from which this endpoint resolved the address, else what an administrator said.
    pub fn of(&self, endpoint: u16, address: IpAddr) -> Option<Arc<[String]>> {
        if self.known.is_empty() || endpoint == 0 {
            return None;
        }
        self.known.get(&(endpoint, address)).or_else(|| self.known.get(&(0, address))).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 | last).into()
    }

    #[test]
    fn each_endpoint_has_names_of_its_own_and_those_that_all_have() {
        let mut names = Names::default();
        let of =
            |names: &Names, endpoint, last| names.of(endpoint, address(last)).map(|names| names.join(" "));
        assert_eq!(of(&names, 1, 1), None);
        names.learn(EndpointId::new(1), "a.example.", [address(1), address(2)]);
        names.learn(EndpointId::new(1), "b.example", [address(1)]);
        names.learn(EndpointId::new(1), "a.example", [address(1)]);
        names.learn(None, "all.example", [address(1), address(3)]);
        assert_eq!(of(&names, 1, 1).as_deref(), Some("a.example b.example"));
        assert_eq!(of(&names, 1, 2).as_deref(), Some("a.example"));
        assert_eq!(of(&names, 2, 1).as_deref(), Some("all.example"));
        assert_eq!(of(&names, 2, 2), None);
        assert_eq!(of(&names, 0, 3), None, "nobody's");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = Names::default();
        let many = u32::try_from(ADDRESSES).expect("a number") + 10;
        names.learn(EndpointId::new(1), "x", (0..many).map(address));
        assert_eq!((names.known.len(), names.order.len()), (ADDRESSES, ADDRESSES));
        assert_eq!(names.of(1, address(9)), None);
        assert!(names.of(1, address(10)).is_some());
        (0..2 * NAMES).for_each(|one| names.learn(EndpointId::new(1), &one.to_string(), [address(10)]));
        assert_eq!(names.of(1, address(10)).map(|names| names.len()), Some(NAMES));
    }
}
