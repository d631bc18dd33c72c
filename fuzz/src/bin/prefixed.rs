//! Frames behind their length, of each width and in both orders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marline_fuzz::{check, head};
use marline_reactor::framing::{Prefix, PrefixParser};

fuzz_target!(|data: &[u8]| {
    let (setting, data) = head(data, 2);
    let (cuts, bytes) = head(data, 8);
    let kind = setting.first().copied().unwrap_or(0);
    // Without a limit too: then memory must not follow the length that is announced.
    let limit = setting.get(1).map_or(usize::MAX, |limit| usize::from(*limit));
    let width = [Prefix::U8, Prefix::U16, Prefix::U32][usize::from(kind) % 3];
    let prefix = if kind >= 128 { width.little_endian() } else { width };
    check(|| PrefixParser::new(prefix).max_length(limit), limit, cuts, bytes);
});
