//! Joins two endpoints, whatever they are: what comes from one goes to the other, in both directions. A small socat.
//!
//! `cargo run --example relay -- stdio: tcp://127.0.0.1:8000` talks to a server, line by line as typed;
//! `cargo run --example relay -- 'exec:cat /etc/services' 'pipe:///tmp/fifo?open=write'` fills a named pipe;
//! `cargo run --example relay -- --listen unix:///tmp/echo.sock 'exec:cat'` starts a process for each connection.
//!
//! Whoever is slow slows down the other side, and an end of one direction is carried over: `echo hello | relay stdio: ...` ends
//! when the answer has come.
use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;

use marline::prelude::*;

/// Whether something went wrong.
type Failed = Rc<Cell<bool>>;

fn complain(error: impl std::fmt::Display, failed: &Failed) {
    eprintln!("relay: {error}");
    failed.set(true);
}

/// Connects to `right`, and joins it to `left`. What `left` sends meanwhile waits in the system.
fn join(left: Transport, right: &str, failed: &Failed) {
    let (handle, failed) = (left.handle(), Rc::clone(failed));
    left.pause_reading();
    handle.connect(
        right,
        |_: &Addresses| Waiting,
        move |outcome| {
            let joined = outcome.map_err(Error::from).and_then(|right| Ok(relay(&left, &right)?));
            if let Err(error) = joined {
                left.abort();
                complain(error, &failed);
            }
        },
    );
}

/// The protocol of a connection until it is joined to another.
struct Waiting;

impl Protocol for Waiting {
    fn connection_made(&mut self, transport: &Transport) {
        transport.pause_reading();
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.unread(data);
    }
}

/// Each connection to the first endpoint is joined to a new one to the second.
struct Guest(String, Failed);

impl Protocol for Guest {
    fn connection_made(&mut self, transport: &Transport) {
        join(transport.clone(), &self.0, &self.1);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.unread(data);
    }
}

fn run(failed: &Failed) -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let listens = arguments.first().is_some_and(|first| first == "--listen");
    arguments.drain(..usize::from(listens));
    let [left, right] =
        <[String; 2]>::try_from(arguments).map_err(|_| "usage: relay [--listen] LEFT RIGHT")?;

    let (reactor, told) = (Reactor::new()?, Rc::clone(failed));
    if listens {
        let guest = move |_: &Addresses| Guest(right.clone(), Rc::clone(&told));
        let server = reactor.handle().listen(left, guest)?;
        server.local_address().iter().for_each(|address| eprintln!("{}", greeting(address)));
    } else {
        reactor.handle().connect(
            left,
            |_: &Addresses| Waiting,
            move |outcome| match outcome {
                Ok(left) => join(left, &right, &told),
                Err(error) => complain(error, &told),
            },
        );
    }
    Ok(reactor.run()?)
}

fn main() -> ExitCode {
    let failed = Failed::default();
    if let Err(error) = run(&failed) {
        complain(error, &failed);
    }
    ExitCode::from(u8::from(failed.get()))
}
