//! What the echo servers on other runtimes have in common, so that they differ in nothing but the runtime.

use std::net::{Ipv4Addr, SocketAddr};

/// How many bytes each of them receives at most at a time, unless the second argument says otherwise.
const BUFFER: usize = 16 * 1024;

/// How many entries the rings have, of those who let a program choose.
pub const ENTRIES: u32 = 1024;

/// Where to listen: the first argument, a port or an endpoint that ends with one, or else a port of the system's choice.
#[must_use]
pub fn address() -> SocketAddr {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let port = argument.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    (Ipv4Addr::LOCALHOST, port).into()
}

/// How large the buffer of a connection is: the second argument. The runner asks for larger ones where messages are large.
#[must_use]
pub fn buffer() -> usize {
    std::env::args().nth(2).and_then(|size| size.parse().ok()).unwrap_or(BUFFER)
}

/// Says on standard output where the server listens; the runner waits for this line.
pub fn greet(address: SocketAddr) {
    println!("listening on tcp://{address}");
}
