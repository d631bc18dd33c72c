//! Bytes in one direction, as many as there is room for, in units that are requests.

use std::io::{self, Read, Write};

use mio::{Events, Poll, Token};

use super::channel::{Channel, Opener};
use super::dial::dial;
use super::echo::SCRATCH;
use super::meter::Meter;
use super::plan::{Line, Plan, Report};
use super::wait::wait;
use crate::role::{CHUNK, FILLER, UNIT, Units};

/// Which direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Towards {
    Server,
    Clients,
}

struct Flow {
    channel: Channel,
    towards: Towards,
    /// How many bytes wait to be sent.
    unsent: usize,
    units: Units,
    chunk: Vec<u8>,
}

pub(super) fn run(plan: &Plan, towards: Towards, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut poll = Poll::new()?;
    let mut flow = Flow::open(plan, towards, &poll)?;
    let mut scratch = vec![0; SCRATCH];
    let mut meter = Meter::new(plan, tell);
    (0..plan.connections).for_each(|_| flow.begin(&mut meter));
    flow.send()?;
    let mut events = Events::with_capacity(16);
    loop {
        if let Some(report) = meter.finished() {
            return Ok(report);
        }
        meter.was_idle(wait(&mut poll, &mut events, plan.spin)?);
        flow.channel.go_on()?;
        flow.send()?;
        flow.receive(&mut meter, &mut scratch)?;
    }
}

impl Flow {
    fn open(plan: &Plan, towards: Towards, poll: &Poll) -> io::Result<Self> {
        let channel = Opener::new(plan.tls_resumes)?.open(dial(plan.port, poll, Token(0))?, 0)?;
        Ok(Self { channel, towards, unsent: 0, units: Units::default(), chunk: vec![FILLER; CHUNK] })
    }

    /// Asks for a unit, or has one to send.
    fn begin(&mut self, meter: &mut Meter<'_>) {
        if meter.begin().is_some() {
            self.unsent += if self.towards == Towards::Server { UNIT } else { 1 };
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.unsent > 0 {
            match self.channel.write(&self.chunk[..self.unsent.min(CHUNK)]) {
                Ok(count) => self.unsent -= count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, meter: &mut Meter<'_>, scratch: &mut [u8]) -> io::Result<()> {
        loop {
            let count = match self.channel.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within an answer")),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if scratch[..count].chunks(CHUNK).any(|piece| piece != &self.chunk[..piece.len()]) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the answer is not what was asked for",
                ));
            }
            let done = if self.towards == Towards::Server { count } else { self.units.complete(count) };
            for _ in 0..done {
                meter.end()?;
                self.begin(meter);
            }
            self.send()?;
        }
    }
}
