//! An echo server on calloop, with a source of events for each connection: `bench-calloop tcp://127.0.0.1:0`.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use calloop::generic::Generic;
use calloop::{
    EventLoop, EventSource, Interest, LoopHandle, Mode, Poll, PostAction, Readiness, Token, TokenFactory,
};
use marline_bench::peer;

/// What callbacks share: one buffer is enough for all connections.
struct Shared {
    handle: LoopHandle<'static, Shared>,
    buffer: Vec<u8>,
}

fn main() -> calloop::Result<()> {
    let mut event_loop = EventLoop::try_new()?;
    let listener = TcpListener::bind(peer::address())?;
    listener.set_nonblocking(true)?;
    peer::greet(listener.local_addr()?);
    let handle = event_loop.handle();
    let mut shared = Shared { handle: handle.clone(), buffer: vec![0; peer::buffer()] };
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    handle.insert_source(source, |_, listener, shared| {
        accept_all(listener, shared)?;
        Ok(PostAction::Continue)
    })?;
    event_loop.run(None, &mut shared, |_| ())
}

fn accept_all(listener: &TcpListener, shared: &Shared) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let socket = Generic::new(stream, Interest::READ, Mode::Level);
        let connection = Connection { socket, pending: Vec::new() };
        let serve =
            |_, connection: &mut Connection, shared: &mut Shared| connection.advance(&mut shared.buffer);
        shared.handle.insert_source(connection, serve).map_err(io::Error::other)?;
    }
}

/// A connection, and what its socket did not take yet. It is not read from while there is any.
struct Connection {
    socket: Generic<TcpStream>,
    pending: Vec<u8>,
}

impl EventSource for Connection {
    type Event = Readiness;
    type Metadata = Self;
    type Ret = PostAction;
    type Error = io::Error;

    fn process_events<F>(&mut self, readiness: Readiness, _: Token, mut callback: F) -> io::Result<PostAction>
    where
        F: FnMut(Readiness, &mut Self) -> PostAction,
    {
        Ok(callback(readiness, self))
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.socket.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.socket.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.socket.unregister(poll)
    }
}

impl Connection {
    /// One receive and one send; events are for levels, so that what is left brings another one.
    fn advance(&mut self, buffer: &mut [u8]) -> PostAction {
        let step = if self.pending.is_empty() { self.echo(buffer) } else { self.send_pending() };
        let waits = !self.pending.is_empty();
        match step {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                PostAction::Remove
            }
            Ok(false) => PostAction::Remove,
            _ if waits == self.socket.interest.writable => PostAction::Continue,
            _ => {
                self.socket.interest = if waits { Interest::WRITE } else { Interest::READ };
                PostAction::Reregister
            }
        }
    }

    /// Whether the connection stays open.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut stream = self.socket.get_ref();
        let count = stream.read(buffer)?;
        let sent = match stream.write(&buffer[..count]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.pending.extend_from_slice(&buffer[sent..count]);
        Ok(count > 0)
    }

    fn send_pending(&mut self) -> io::Result<bool> {
        let mut stream = self.socket.get_ref();
        let sent = stream.write(&self.pending)?;
        self.pending.drain(..sent);
        Ok(true)
    }
}
