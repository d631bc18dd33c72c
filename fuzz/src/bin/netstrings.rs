//! Netstrings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marline_fuzz::{check, head};
use marline_reactor::framing::NetstringParser;

fuzz_target!(|data: &[u8]| {
    let (setting, data) = head(data, 1);
    let (cuts, bytes) = head(data, 8);
    // Without a limit too: then memory must not follow the length that is announced.
    let limit = setting.first().map_or(usize::MAX, |limit| usize::from(*limit));
    check(|| NetstringParser::new().max_length(limit), limit, cuts, bytes);
});
