//! ZeroMQ sockets on Marline's loop, by way of `ZMQ_FD`: request/reply, then publish/subscribe, at full speed.
//!
//! `ZMQ_FD` is one edge for both directions, so a socket has to be asked again after every send and receive, and before
//! every sleep. Both ends of each pair are on the one loop; libzmq's own threads carry the bytes over TCP.
//!
//! Run it (it wants libzmq): `cargo run --example zeromq --features zeromq --release -- 1000000`

use std::cell::Cell;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use marline::prelude::*;
use marline::{Interest, Watch, WatchError};
use zmq::{Context, DONTWAIT, Error as ZmqError, Socket, SocketType};

/// No more messages are under way at a time: beyond a limit some kinds of sockets drop them.
const WINDOW: u64 = 500;

type Step = fn(&Counts, &Socket) -> zmq::Result<()>;
/// A socket, and what is done with it again and again: one send or receive, without waiting.
struct Peer {
    socket: Socket,
    counts: Rc<Counts>,
    step: Step,
}

impl AsRawFd for Peer {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get_fd().unwrap_or(-1) // Nobody's, and refused as such.
    }
}

impl Peer {
    /// Makes steps until the socket would block, or others have to have their turn: whether it made any. Asking for the
    /// events is what makes libzmq look at what its threads have done.
    fn pump(&mut self) -> bool {
        let step = || self.socket.get_events().is_ok() && (self.step)(&self.counts, &self.socket).is_ok();
        (0..256).take_while(|_| step()).count() > 0
    }
}

#[derive(Default)]
struct Counts {
    total: u64,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Counts {
    fn send(&self, send: impl FnOnce(u64) -> zmq::Result<()>) -> zmq::Result<()> {
        let (sent, received) = (self.sent.get(), self.received.get());
        if sent == self.total || sent - received == WINDOW {
            return Err(ZmqError::EAGAIN);
        }
        send(sent).map(|()| self.sent.set(sent + 1))
    }

    fn receive(&self, message: &[u8]) -> zmq::Result<()> {
        assert_eq!(message, self.received.get().to_le_bytes(), "messages come in order, none is lost");
        self.received.set(self.received.get() + 1);
        Ok(())
    }
}

/// Connects a pair over TCP and runs it on the loop until every message has come.
fn run(reactor: &Reactor, kinds: [SocketType; 2], total: u64, steps: [Step; 2]) -> Result<()> {
    let (context, handle) = (Context::new(), reactor.handle());
    let (server, client) = (context.socket(kinds[0])?, context.socket(kinds[1])?);
    server.bind("tcp://127.0.0.1:*")?;
    client.connect(&server.get_last_endpoint()?.map_err(|_| "not an endpoint")?)?;
    if kinds[1] == zmq::SUB {
        client.set_subscribe(b"")?;
        server.recv_bytes(0)?; // The subscription has arrived.
    }
    let (counts, mut peers) = (Rc::new(Counts { total, ..Counts::default() }), Vec::<Watch<Peer>>::new());
    for (socket, step) in [server, client].into_iter().zip(steps) {
        let peer = Peer { socket, counts: Rc::clone(&counts), step };
        let watch = handle.watch(peer, Interest::READABLE.edge(), |peer: &mut Peer, _| _ = peer.pump());
        peers.push(watch.map_err(WatchError::into_kind)?);
    }
    let (before, begun, seen, again) = (handle.stats(), handle.now(), Rc::clone(&counts), handle.clone());
    let hook = handle.before_sleep(move || {
        let moved = peers.iter().filter(|peer| peer.with(Peer::pump) == Some(true)).count();
        if seen.received.get() == total {
            peers.iter().for_each(|peer| drop(peer.remove())); // Nothing is left to run for.
        } else if moved > 0 {
            again.call_soon(|| {}); // So it is asked once more before the loop sleeps.
        }
    });
    let (mut last, seen, stop) = (0, Rc::clone(&counts), handle.clone());
    let watchdog = handle.call_every(Duration::from_secs(5), move || {
        if std::mem::replace(&mut last, seen.received.get()) == seen.received.get() {
            stop.stop();
        }
    });
    watchdog.unreference();
    reactor.run()?;
    watchdog.cancel();
    hook.remove();
    let (turns, took) = (handle.stats().turns - before.turns, handle.now() - begun);
    let (sent, received) = (counts.sent.get(), counts.received.get());
    println!("{:?}: {sent} sent, {received} received, {turns} turns, {took:.2?}", kinds[0]);
    let is_well = received == total && turns <= total + 100;
    if is_well { Ok(()) } else { Err("it stalled, or the loop was busy for nothing".into()) }
}

fn main() -> Result<()> {
    let total = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let reactor = Reactor::new()?;
    let reply = |_: &Counts, socket: &Socket| socket.send(socket.recv_bytes(DONTWAIT)?, 0);
    let request = |counts: &Counts, socket: &Socket| match socket.recv_multipart(DONTWAIT) {
        Ok(parts) => counts.receive(&parts[1]),
        Err(_) => counts.send(|number| socket.send_multipart([&[], &number.to_le_bytes()[..]], DONTWAIT)),
    };
    run(&reactor, [zmq::REP, zmq::DEALER], total, [reply, request])?;
    let publish = |counts: &Counts, peer: &Socket| counts.send(|n| peer.send(&n.to_le_bytes()[..], DONTWAIT));
    let subscribe = |counts: &Counts, socket: &Socket| counts.receive(&socket.recv_bytes(DONTWAIT)?);
    run(&reactor, [zmq::XPUB, zmq::SUB], total, [publish, subscribe])
}
