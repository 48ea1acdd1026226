//! Any text as policies: objects or errors, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match ciliate_policy::parse(text, "fuzz", "default") {
            Ok(_) => {}
            Err(errors) => assert!(!errors.is_empty()),
        }
    }
});
