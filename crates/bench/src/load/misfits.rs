//! Clients that a server has to bear: slow ones, stuck ones, and ones that reset their connections.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

/// How many bytes a slow client lets wait for it, and how many it writes at a time.
const BEHIND: usize = 64 * 1024;
const PIECE: [u8; 1024] = [b's'; 1024];
/// What is sent of a message before the connection is reset.
const PART: [u8; 16 * 1024] = [b'r'; 16 * 1024];
/// After how many ticks a slow client reads.
const PAUSE: u64 = 8;

/// Reads a byte at a time, with pauses, and writes far more than that.
pub(super) struct Slow {
    stream: TcpStream,
    ticks: u64,
    sent: usize,
    received: usize,
}

impl Slow {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, ticks: 0, sent: 0, received: 0 }
    }

    pub(super) fn tick(&mut self) -> io::Result<()> {
        self.ticks += 1;
        if self.sent - self.received < BEHIND {
            self.sent += if_ready(self.stream.write(&PIECE))?;
        }
        if self.ticks % PAUSE == 0 {
            let mut byte = [0];
            let count = if_ready(self.stream.read(&mut byte))?;
            if count > 0 && byte != PIECE[..1] {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a slow client got a wrong byte"));
            }
            self.received += count;
        }
        Ok(())
    }
}

/// Writes whatever there is room for, and never reads.
pub(super) struct Stuck(TcpStream);

impl Stuck {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    pub(super) fn tick(&mut self) -> io::Result<()> {
        while if_ready(self.0.write(&PART))? > 0 {}
        Ok(())
    }
}

/// Connects, sends a part of a message, and resets the connection at the next tick.
pub(super) struct Resetting {
    port: u16,
    open: Option<Socket>,
}

impl Resetting {
    pub(super) fn new(port: u16) -> Self {
        Self { port, open: None }
    }

    pub(super) fn tick(&mut self) -> io::Result<()> {
        // What lingers for no time is reset when it is closed.
        self.open = None;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into())?;
        socket.set_nonblocking(true)?;
        if_ready((&socket).write(&PART))?;
        self.open = Some(socket);
        Ok(())
    }
}

/// How many bytes went through: none, if there was no room or nothing to read. An end is an error: no server of ours ends
/// a connection by itself.
fn if_ready(outcome: io::Result<usize>) -> io::Result<usize> {
    match outcome {
        Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection")),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        outcome => outcome,
    }
}
