//! Lines, by each kind of delimiter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marline_fuzz::{check, head};
use marline_reactor::framing::LineParser;

fuzz_target!(|data: &[u8]| {
    let (setting, data) = head(data, 2);
    let (cuts, bytes) = head(data, 8);
    let limit = usize::from(setting.first().copied().unwrap_or(40));
    let kind = setting.get(1).copied().unwrap_or(0);
    let make = || {
        let parser = LineParser::new().max_length(limit);
        match kind % 5 {
            0 => parser,
            1 => parser.delimiter(b"\n"),
            2 => parser.delimiter(b"\r\n"),
            3 => parser.delimiter(b"aba"),
            _ => parser.delimiter(b"<end>"),
        }
    };
    check(make, limit, cuts, bytes);
});
