//! An echo server as a loop of one's own on mio: `bench-mio tcp://127.0.0.1:0`.
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;

use marline_bench::peer;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

/// Connections have the number of their descriptor, which is never this one.
const LISTENER: Token = Token(usize::MAX);

/// A connection, and what its socket did not take yet. It is not read from while there is any.
struct Connection {
    stream: TcpStream,
    pending: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(peer::address())?;
    peer::greet(listener.local_addr()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut buffer = vec![0; peer::buffer()];
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, poll.registry(), &mut connections)?;
                continue;
            }
            let place = &mut connections[event.token().0];
            let Some(connection) = place else { continue };
            // Dropped, it is closed; an error ends nothing but its own connection.
            if !connection.advance(event, &mut buffer).unwrap_or(false) {
                *place = None;
            }
        }
    }
}

/// Events are for edges, so it accepts until nobody waits.
fn accept_all(
    listener: &TcpListener,
    registry: &Registry,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let index = usize::try_from(stream.as_raw_fd()).map_err(io::Error::other)?;
        registry.register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        if connections.len() <= index {
            connections.resize_with(index + 1, || None);
        }
        connections[index] = Some(Connection { stream, pending: Vec::new() });
    }
}

impl Connection {
    /// Whether it stays open.
    fn advance(&mut self, event: &Event, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.pending.is_empty() && !self.send_pending()? {
            return Ok(true);
        }
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if !self.send(&buffer[..count])? {
                return Ok(true);
            }
            // A read that does not fill the buffer has emptied the socket, and what comes later is a new edge. The end of
            // the stream is no more bytes: it may have come before the edge that is being served.
            if count < buffer.len() && !event.is_read_closed() {
                return Ok(true);
            }
        }
    }

    /// Whether all was sent; the rest is kept.
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.pending.extend_from_slice(bytes);
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn send_pending(&mut self) -> io::Result<bool> {
        let pending = std::mem::take(&mut self.pending);
        self.send(&pending)
    }
}
