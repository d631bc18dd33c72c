//! TLS between a peer of rustls and a filter, whose records somebody cuts, joins, repeats, leaves out, and changes on their way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marline_fuzz::tls::{Role, meddle};

fuzz_target!(|data: &[u8]| {
    let Some((first, script)) = data.split_first() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    meddle(role, script);
});
