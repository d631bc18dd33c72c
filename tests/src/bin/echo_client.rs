//! A client that makes an echo server work, so that the server's system calls can be counted.
//!
//! ```text
//! echo_client ADDRESS CONNECTIONS ROUNDS single|lockstep
//! echo_client free-port
//! ```
//!
//! In `single` mode one connection after the other makes its round trips of 64 bytes. In `lockstep` mode each round writes to
//! all of the connections and then reads from all of them. The client waits for the server to listen, checks every byte,
//! and prints the number of round trips; with `free-port` it prints a port on which nobody listens.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use marline_tests::echo::{connect, end, lockstep};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["free-port"] => free_port(),
        [address, connections, rounds, mode] => drive(address, connections, rounds, mode),
        _ => Err("usage: echo_client ADDRESS CONNECTIONS ROUNDS single|lockstep".into()),
    };
    match outcome {
        Ok(number) => {
            println!("{number}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("echo_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn free_port() -> Result<usize, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().into())
}

fn drive(address: &str, connections: &str, rounds: &str, mode: &str) -> Result<usize, Failure> {
    let address = address.strip_prefix("tcp://").unwrap_or(address);
    let (connections, rounds): (usize, usize) = (connections.parse()?, rounds.parse()?);
    let mut streams = (0..connections).map(|_| connect(address)).collect::<io::Result<Vec<_>>>()?;
    match mode {
        "lockstep" => lockstep(&mut streams, rounds)?,
        "single" => {
            streams.iter_mut().try_for_each(|stream| lockstep(std::slice::from_mut(stream), rounds))?
        }
        _ => return Err(format!("{mode} is neither `single` nor `lockstep`").into()),
    }
    streams.iter_mut().try_for_each(end)?;
    Ok(connections * rounds)
}
