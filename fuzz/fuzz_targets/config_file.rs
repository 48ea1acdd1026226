//! Any text as a file of exporters, of filters, of metrics or of nodes: what is read can be used, an error is one line, no panic.
#![no_main]

use ciliate_export::config::read;
use ciliate_flow::{Filter, read_filters};
use ciliate_observer::metrics::{Bounds, Config};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

const BOUNDS: Bounds = Bounds { series: 100, ttl: None };

fuzz_target!(|text: &str| {
    match read(Path::new("flowlogs.yaml"), text) {
        Ok(specs) => specs.iter().for_each(|spec| assert!(spec.selection().is_ok(), "{spec:?}")),
        Err(error) => assert!(error.to_string().starts_with("flowlogs.yaml:"), "{error}"),
    }
    if let Ok(filters) = read_filters(text) {
        // Right in form; whether its values are is found out here.
        let _ = Filter::new(&filters, &[]);
    }
    for config in [Config::parse(text, BOUNDS), Config::from_document(text, BOUNDS)] {
        assert!(config.is_ok() || config.is_err_and(|error| !error.to_string().is_empty()));
    }
    if let Ok(peers) = ciliate_relay::listed(text) {
        assert!(peers.iter().all(|peer| !peer.name.is_empty()));
    }
});
