//! Any paths as a mask of fields, any bytes as a flow: a mask takes away and never adds, and what it left it leaves again.
#![no_main]

use ciliate_flow::Mask;
use ciliate_hubble::flow::Flow;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|input: (Vec<String>, &[u8])| {
    let (paths, bytes) = input;
    let Ok(Some(mask)) = Mask::new(&paths) else { return };
    let Ok(flow) = Flow::decode(bytes) else { return };
    let once = mask.apply(&flow);
    assert!(once.encoded_len() <= flow.encoded_len());
    assert_eq!(mask.apply(&once).encode_to_vec(), once.encode_to_vec());
});
