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

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

const MESSAGE: usize = 64;
const START: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(30);

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

fn connect(address: &str) -> io::Result<TcpStream> {
    let deadline = Instant::now() + START;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

fn lockstep(streams: &mut [TcpStream], rounds: usize) -> io::Result<()> {
    for round in 0..rounds {
        for (index, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&message(round, index))?;
        }
        for (index, stream) in streams.iter_mut().enumerate() {
            let mut answer = [0; MESSAGE];
            stream.read_exact(&mut answer)?;
            if answer != message(round, index) {
                return Err(io::Error::other(format!(
                    "round {round}: connection {index} got other bytes back"
                )));
            }
        }
    }
    Ok(())
}

/// Different for neighbouring rounds and connections, so that a mix-up shows.
fn message(round: usize, index: usize) -> [u8; MESSAGE] {
    let mut bytes = [b'.'; MESSAGE];
    bytes[..8].copy_from_slice(&(round as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    bytes
}

/// Says that nothing more comes, and waits until the server has closed its side.
fn end(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    match stream.read(&mut [0; MESSAGE])? {
        0 => Ok(()),
        more => Err(io::Error::other(format!("{more} bytes more came back than were sent"))),
    }
}
