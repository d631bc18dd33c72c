//! Blocking clients that make an echo server work. They check every byte.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// How many bytes a message has.
pub const MESSAGE: usize = 64;

/// Connects, and waits for the server to listen if nobody does yet.
///
/// # Errors
///
/// The system's.
pub fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(&address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes round trips: in each round, writes to all of the connections and then reads from all of them.
///
/// # Errors
///
/// The system's, and if other bytes come back than were sent.
pub fn lockstep(streams: &mut [TcpStream], rounds: usize) -> io::Result<()> {
    for round in 0..rounds {
        write_all(streams, round)?;
        read_all(streams, round)?;
    }
    Ok(())
}

/// Writes one message to each connection.
///
/// # Errors
///
/// The system's.
pub fn write_all(streams: &mut [TcpStream], round: usize) -> io::Result<()> {
    for (index, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&message(round, index))?;
    }
    Ok(())
}

/// Reads back the messages of this round.
///
/// # Errors
///
/// The system's, and if other bytes come back than were sent.
pub fn read_all(streams: &mut [TcpStream], round: usize) -> io::Result<()> {
    for (index, stream) in streams.iter_mut().enumerate() {
        let mut answer = [0; MESSAGE];
        stream.read_exact(&mut answer)?;
        if answer != message(round, index) {
            return Err(io::Error::other(format!("round {round}: connection {index} got other bytes back")));
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
///
/// # Errors
///
/// The system's, and if more bytes came back than were sent.
pub fn end(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    // Unlike a single read this goes on after the system interrupts one.
    match stream.read_to_end(&mut Vec::new())? {
        0 => Ok(()),
        more => Err(io::Error::other(format!("{more} bytes more came back than were sent"))),
    }
}
