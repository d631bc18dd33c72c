//! A shell in a terminal, for whoever connects: each connection gets a terminal of its own. A small telnet, with both sides and
//! without a login.
//!
//! `cargo run --example terminal -- unix:///tmp/shell.sock` serves the shell that `$SHELL` names, and in another terminal
//! `cargo run --example terminal -- --connect unix:///tmp/shell.sock` is in it, until `exit` or Ctrl-].
//!
//! Keys go to the shell as they are typed, so Ctrl-C and job control are those of the far terminal, which has the size of the
//! near one, also when that changes. When the client goes, the far terminal hangs up: the shell and its jobs get SIGHUP. The
//! connection ends when nobody has the terminal any more, so a job that was left behind by `exit` keeps it.
//!
//! Where the size does not matter any client will do that passes on keys and bytes as they are:
//! `socat STDIO,raw,echo=0,escape=0x1d unix-connect:/tmp/shell.sock`.
use marline::prelude::*;

mod client;
mod keys;
mod server;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--connect"), Some(endpoint)) => client::run(endpoint),
        (Some("--connect"), None) => Err("usage: terminal [--connect] ENDPOINT".into()),
        (endpoint, _) => server::run(endpoint.unwrap_or("unix:///tmp/shell.sock")),
    }
}
