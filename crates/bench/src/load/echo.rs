//! Connections that stay, each with one message under way.

use std::io;
use std::time::Instant;

use mio::{Events, Poll, Token};

use super::channel::{Channel, Opener};
use super::dial::dial;
use super::exchange::Exchange;
use super::meter::Meter;
use super::pattern::Pattern;
use super::plan::{Line, Plan, Report};
use super::wait::wait;

/// Read at a time, at most.
pub(super) const SCRATCH: usize = 256 * 1024;

struct Client {
    channel: Channel,
    /// `None` once it has nothing more to do.
    number: Option<u64>,
    exchange: Exchange,
    begun: Option<Instant>,
}

pub(super) fn run(plan: &Plan, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut poll = Poll::new()?;
    let mut clients = connect(plan, &poll)?;
    let pattern = Pattern::new(plan.size);
    let mut scratch = vec![0; SCRATCH];
    let mut meter = Meter::new(plan, tell);
    for client in &mut clients {
        client.next(&mut meter, &pattern)?;
    }
    let mut events = Events::with_capacity(1024);
    loop {
        if let Some(report) = meter.finished() {
            return Ok(report);
        }
        meter.was_idle(wait(&mut poll, &mut events, plan.spin)?);
        for event in &events {
            clients[event.token().0].advance(&mut meter, &pattern, &mut scratch)?;
        }
    }
}

fn connect(plan: &Plan, poll: &Poll) -> io::Result<Vec<Client>> {
    let opener = Opener::new(plan.tls_resumes)?;
    let one = |index| {
        let channel = opener.open(dial(plan.port, poll, Token(index))?, index)?;
        Ok(Client { channel, number: None, exchange: Exchange::default(), begun: None })
    };
    (0..plan.connections).map(one).collect()
}

impl Client {
    fn next(&mut self, meter: &mut Meter<'_>, pattern: &Pattern) -> io::Result<()> {
        self.number = meter.begin();
        self.exchange = Exchange::default();
        self.begun = meter.now();
        match self.number {
            Some(number) => self.exchange.send(&mut self.channel, pattern.message(number)),
            None => Ok(()),
        }
    }

    fn advance(&mut self, meter: &mut Meter<'_>, pattern: &Pattern, scratch: &mut [u8]) -> io::Result<()> {
        let Some(number) = self.number else { return Ok(()) };
        let message = pattern.message(number);
        self.channel.go_on()?;
        self.exchange.send(&mut self.channel, message)?;
        if self.exchange.receive(&mut self.channel, message, scratch)? {
            meter.took_since(self.begun);
            meter.end()?;
            self.next(meter, pattern)?;
        }
        Ok(())
    }
}
