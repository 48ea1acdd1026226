//! The devices of this host by their names.

use ciliate_flow::Interface;
use nix::net::if_::if_indextoname;
use std::{collections::HashMap, sync::Arc};

/// Devices that are remembered; with one more all are asked for again.
const MOST: usize = 4096;

/// Each is asked for once, when it is first seen: a kernel gives no second device the same index before it has given all others.
#[derive(Default)]
pub struct Devices(HashMap<u32, Arc<Interface>, foldhash::fast::FixedState>);

impl Devices {
    /// None for index 0; without a name where the device is gone.
    pub fn of(&mut self, index: u32) -> Option<Arc<Interface>> {
        if index == 0 {
            return None;
        }
        if let Some(known) = self.0.get(&index) {
            return Some(Arc::clone(known));
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let name = if_indextoname(index).ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        let found = Arc::new(Interface { index, name });
        self.0.insert(index, Arc::clone(&found));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_the_names_that_the_kernel_gives_them() {
        let mut devices = Devices::default();
        assert_eq!(devices.of(0), None);
        let loopback = devices.of(1).unwrap();
        assert_eq!((loopback.index, loopback.name.as_str()), (1, "lo"));
        assert!(Arc::ptr_eq(&loopback, &devices.of(1).unwrap()));
        assert_eq!(devices.of(u32::MAX >> 1).unwrap().name, "");
    }
}
