//! Names of a flow's fields in masks.

use ciliate_hubble::DESCRIPTORS;
use prost_reflect::{DescriptorPool, Kind};
use std::sync::LazyLock;

/// None never happens: the descriptors are built with the program, and tests read them.
pub static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// Whether a mask may have this path, such as `source.pod_name`.
///
/// # Errors
/// Says which part of it is no field, and of what.
pub fn check_path(path: &str) -> Result<(), String> {
    let mut message = POOL.as_ref().and_then(|pool| pool.get_message_by_name("flow.Flow"));
    for name in path.split('.') {
        let Some(of) = message else {
            return Err(format!("{path:?} goes on below a field that has no fields"));
        };
        let field = of.get_field_by_name(name);
        let field = field.ok_or_else(|| format!("{path:?}: {} has no field {name:?}", of.name()))?;
        message = match field.kind() {
            Kind::Message(below) if !field.is_list() => Some(below),
            _ => None,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_interface() {
        for path in ["time", "source.pod_name", "IP.source", "l4.TCP.flags.SYN", "source_names", "l7.http"] {
            assert_eq!(check_path(path), Ok(()));
        }
        for (path, message) in [
            ("sauce", "Flow has no field \"sauce\""),
            ("source.pod", "Endpoint has no field \"pod\""),
            ("uuid.x", "goes on below a field that has no fields"),
            ("", "has no field"),
        ] {
            assert!(check_path(path).is_err_and(|error| error.contains(message)), "{path}");
        }
    }
}
