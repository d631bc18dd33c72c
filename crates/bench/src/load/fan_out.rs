//! One who publishes lines, and many who get each of them. What is counted as a request is a line delivered to one of those.
//!
//! Several lines are published in one piece, and the next ones when everyone has all of them.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use super::dial::dial;
use super::echo::SCRATCH;
use super::meter::Meter;
use super::plan::{Line, Plan, Report};
use super::wait::wait;

struct Subscriber {
    stream: TcpStream,
    /// How many bytes of the piece that is under way came.
    received: usize,
}

struct Publisher {
    stream: TcpStream,
    piece: Vec<u8>,
    sent: usize,
    /// How many lines were ever published.
    number: u64,
    /// How many deliveries are under way, and how many of them are counted: those at the end may be more than wanted.
    missing: usize,
    counted: usize,
}

pub(super) fn run(plan: &Plan, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut poll = Poll::new()?;
    let one = |index| Ok(Subscriber { stream: dial(plan.port, &poll, Token(index))?, received: 0 });
    let mut subscribers = (0..plan.connections).map(one).collect::<io::Result<Vec<_>>>()?;
    // It comes last: a server accepts in order, and so knows everyone before the first line.
    let stream = dial(plan.port, &poll, Token(plan.connections))?;
    let mut publisher = Publisher { stream, piece: Vec::new(), sent: 0, number: 0, missing: 0, counted: 0 };
    let mut scratch = vec![0; SCRATCH];
    let mut meter = Meter::new(plan, tell);
    let mut events = Events::with_capacity(1024);
    loop {
        if publisher.missing == 0 {
            if let Some(report) = meter.finished() {
                return Ok(report);
            }
            subscribers.iter_mut().for_each(|subscriber| subscriber.received = 0);
            publisher.publish(plan, &mut meter);
        }
        publisher.send()?;
        meter.was_idle(wait(&mut poll, &mut events, plan.spin)?);
        for event in events.iter().filter(|event| event.token().0 < plan.connections) {
            let lines = subscribers[event.token().0].receive(plan, &publisher.piece, &mut scratch)?;
            publisher.delivered(lines, &mut meter)?;
        }
    }
}

impl Publisher {
    fn publish(&mut self, plan: &Plan, meter: &mut Meter<'_>) {
        self.piece.clear();
        for _ in 0..plan.depth {
            // Lines differ, so that one in the place of another is found.
            self.piece.resize(self.piece.len() + plan.size - 1, b'a' + (self.number % 26) as u8);
            self.piece.push(b'\n');
            self.number += 1;
        }
        self.sent = 0;
        self.missing = plan.depth * plan.connections;
        self.counted = (0..self.missing).map_while(|_| meter.begin()).count();
    }

    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.piece.len() {
            match self.stream.write(&self.piece[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn delivered(&mut self, lines: usize, meter: &mut Meter<'_>) -> io::Result<()> {
        self.missing -= lines;
        for _ in 0..lines.min(self.counted) {
            self.counted -= 1;
            meter.end()?;
        }
        Ok(())
    }
}

impl Subscriber {
    /// How many lines are complete with what is there.
    fn receive(&mut self, plan: &Plan, piece: &[u8], scratch: &mut [u8]) -> io::Result<usize> {
        let before = self.received / plan.size;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a subscriber was closed")),
                Ok(count) => {
                    if piece.get(self.received..self.received + count) != Some(&scratch[..count]) {
                        let text = "a subscriber got what was not published";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                    }
                    self.received += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.received / plan.size - before);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
