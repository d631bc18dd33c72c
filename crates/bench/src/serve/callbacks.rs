//! As protocols of Marline.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use marline::prelude::*;

use crate::role::{Answer, CHUNK, FILLER, UNIT, Units};

static FULL: [u8; CHUNK] = [FILLER; CHUNK];

/// Sends what it gets.
#[derive(Debug)]
pub struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

/// Sends what it gets, and takes no more while the peer does not read: without that, one that never does would fill the
/// server's memory.
#[derive(Debug)]
pub struct PacedEcho;

impl Protocol for PacedEcho {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }

    fn pause_writing(&mut self, transport: &Transport) {
        transport.pause_reading();
    }

    fn resume_writing(&mut self, transport: &Transport) {
        transport.resume_reading();
    }
}

/// Sends what was asked for, as long as the connection takes it.
#[derive(Debug, Default)]
pub struct Source {
    owed: usize,
}

impl Source {
    fn go_on(&mut self, transport: &Transport) {
        while self.owed > 0 {
            self.owed -= 1;
            if transport.write(&FULL[..]) != WriteStatus::Ok {
                transport.notify_drained();
                return;
            }
        }
    }
}

impl Protocol for Source {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        let was_idle = self.owed == 0;
        self.owed += data.len() * UNIT / CHUNK;
        if was_idle {
            self.go_on(transport);
        }
    }

    fn drained(&mut self, transport: &Transport) {
        self.go_on(transport);
    }
}

/// Counts what it gets.
#[derive(Debug, Default)]
pub struct Sink {
    units: Units,
}

impl Protocol for Sink {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        for _ in 0..self.units.complete(data.len()) {
            transport.write([FILLER]);
        }
    }
}

/// Answers lines.
#[derive(Debug)]
pub struct Answers;

impl LineProtocol for Answers {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        transport.write(Answer::to(line.len()));
    }
}

/// Sends each line to every other connection. Its bytes are stored once, however many those are.
#[derive(Clone, Debug, Default)]
pub struct Relay(Rc<RefCell<Vec<Transport>>>);

impl LineProtocol for Relay {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.borrow_mut().push(transport.clone());
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        let message = Bytes::from([line, b"\n"].concat());
        for other in self.0.borrow().iter().filter(|other| *other != transport) {
            other.write_owned(message.clone());
        }
    }

    fn connection_lost(&mut self, transport: &Transport, _: &Lost) {
        self.0.borrow_mut().retain(|other| other != transport);
    }
}
