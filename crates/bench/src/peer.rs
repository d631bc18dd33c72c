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

/// How many threads work, of those who have several: as many as `MARLINE_BENCH_WORKERS` says, or else as there are cores for
/// this process, but two at least. On the one core that the runner gives to a server, a runtime of several threads would
/// otherwise be measured without what it costs it to have several.
#[must_use]
pub fn workers() -> usize {
    let wanted = std::env::var("MARLINE_BENCH_WORKERS").ok().and_then(|count| count.parse().ok());
    // The standard library looks at the cores that this process may use.
    wanted
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)))
        .max(1)
}

/// The same of a group.
///
/// # Errors
///
/// If it listens nowhere.
pub fn greet_all(addresses: &[marline::Address]) -> marline::Result<()> {
    println!("listening on {}", addresses.first().ok_or("the group has no address")?);
    Ok(())
}

/// Says on standard output where the server listens; the runner waits for this line.
pub fn greet(address: SocketAddr) {
    println!("listening on tcp://{address}");
}
