//! A program that uses its standard input and output in one of the ways that programs do, so that its parent can look on.
//!
//! ```text
//! stdio_child shout|await|over|last|leave|stay|panic
//! ```
//!
//! * `shout` and `await` answer what they read in capitals until the end, by callbacks and by a task. They tell what was
//!   left to be sent when it was lost in another way than in good order.
//! * `over` ends its output at once, and tells on standard error what it reads.
//! * `last` writes a mebibyte and ends with its loop.
//! * `leave` says that it is there, and returns from `main` with its input open. `stay` does not return.
//! * `panic` puts its terminal into raw mode, says so, reads a line, and panics.

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use marline_reactor::terminal::RawMode;
use marline_reactor::{Lost, OnEof, Protocol, Reactor, Transport};
use marline_tasks::stdio;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    match std::env::args().nth(1).as_deref() {
        Some("shout") => shout(),
        Some("await") => marline_tasks::run(shout_awaiting()),
        Some("over") => over(),
        Some("last") => last(),
        Some("leave") => leave(),
        Some("stay") => stay(),
        Some("panic") => panic_in_raw_mode(),
        _ => Err("usage: stdio_child shout|await|over|last|leave|stay|panic".into()),
    }
}

struct Shout;

impl Protocol for Shout {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data.to_ascii_uppercase());
    }

    fn pause_writing(&mut self, transport: &Transport) {
        transport.pause_reading();
    }

    fn resume_writing(&mut self, transport: &Transport) {
        transport.resume_reading();
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        if !matches!(lost.reason(), marline_reactor::Reason::Clean) {
            eprintln!("{:?}, {} unsent", lost.to_io_error().kind(), lost.unsent());
        }
    }
}

fn shout() -> Result<(), Failure> {
    let reactor = Reactor::new()?;
    reactor.handle().stdio(Shout)?;
    Ok(reactor.run()?)
}

async fn shout_awaiting() -> Result<(), Failure> {
    let (input, output) = stdio()?.into_split();
    let mut bytes = [0; 4096];
    loop {
        let count = input.read(&mut bytes).await?;
        if count == 0 {
            return Ok(output.close().await?);
        }
        output.write_all(&bytes[..count].to_ascii_uppercase()).await?;
    }
}

/// Collects what it reads, and goes on after the end of its output.
struct Listen(Rc<RefCell<Vec<u8>>>);

impl Protocol for Listen {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"over");
        transport.write_eof();
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.0.borrow_mut().extend_from_slice(data);
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        OnEof::KeepOpen
    }
}

fn over() -> Result<(), Failure> {
    let (reactor, heard) = (Reactor::new()?, Rc::new(RefCell::new(Vec::new())));
    reactor.handle().stdio(Listen(Rc::clone(&heard)))?;
    reactor.run()?;
    eprint!("{}", String::from_utf8_lossy(&heard.borrow()));
    Ok(())
}

fn last() -> Result<(), Failure> {
    let reactor = Reactor::new()?;
    let transport = reactor.handle().stdio(|_: &Transport, _: &[u8]| {})?;
    transport.write(vec![b'm'; 1024 * 1024]);
    transport.close();
    Ok(reactor.run()?)
}

/// Stops the loop when what it said has left.
struct Leave;

impl Protocol for Leave {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"here");
        transport.notify_drained();
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn drained(&mut self, transport: &Transport) {
        transport.handle().stop();
    }
}

fn leave() -> Result<(), Failure> {
    let reactor = Reactor::new()?;
    reactor.handle().stdio(Leave)?;
    Ok(reactor.run()?)
}

fn stay() -> Result<(), Failure> {
    let reactor = Reactor::new()?;
    reactor.handle().stdio(|_: &Transport, _: &[u8]| {})?.write(b"here");
    Ok(reactor.run()?)
}

fn panic_in_raw_mode() -> Result<(), Failure> {
    let _raw = RawMode::enter(std::io::stdin())?;
    eprint!("raw");
    std::io::stdin().read_exact(&mut [0])?;
    panic!("in the middle of a screen");
}
