//! Any bytes as what a receiver of flows answers by Fluentd's protocol: read or refused, no panic, however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = ciliate_export::acks_in(bytes);
    if let Ok(all) = whole {
        for end in 0..bytes.len().min(64) {
            let some = ciliate_export::acks_in(&bytes[..end]);
            assert!(some.is_ok_and(|some| some <= all), "{end}");
        }
    }
});
