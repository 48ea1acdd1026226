//! Any text as a filter of packets: a filter that reads back as itself, or an error with what is wrong, no panic.
#![no_main]

use ciliate_recorder::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Filter>() {
        Ok(filter) => {
            assert_eq!(filter.to_string().parse(), Ok(filter));
            assert_eq!(filter.reversed().reversed(), filter);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
