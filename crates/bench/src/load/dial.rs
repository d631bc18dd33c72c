//! Opens a connection that stays.

use std::io;
use std::net::Ipv4Addr;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

/// To the server on this port. Events of either direction come with this token.
pub(super) fn dial(port: u16, poll: &Poll, token: Token) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}
