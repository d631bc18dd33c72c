//! Connections that stay, each with one message under way.

use std::io;
use std::time::Instant;

use mio::{Events, Poll, Token};

use super::channel::{Channel, Opener};
use super::crew::Crew;
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
    let crew = Crew::start(plan)?;
    let own = crew.share(plan);
    let mut meter = Meter::new(&own, tell).with(crew.done());
    let mut lane = Lane::open(&own)?;
    lane.begin(&mut meter)?;
    loop {
        if let Some(report) = meter.finished() {
            return crew.end().map(|()| report);
        }
        lane.turn(&mut meter)?;
    }
}

/// The connections of one thread.
pub(super) struct Lane {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    pattern: Pattern,
    scratch: Vec<u8>,
    spin: bool,
}

impl Lane {
    pub(super) fn open(plan: &Plan) -> io::Result<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            clients: connect(plan, &poll)?,
            poll,
            events: Events::with_capacity(1024),
            pattern: Pattern::new(plan.size),
            scratch: vec![0; SCRATCH],
            spin: plan.spin,
        })
    }

    /// The first request on each connection.
    pub(super) fn begin(&mut self, meter: &mut Meter<'_>) -> io::Result<()> {
        self.clients.iter_mut().try_for_each(|client| client.next(meter, &self.pattern))
    }

    /// Waits for answers, and makes the next requests.
    pub(super) fn turn(&mut self, meter: &mut Meter<'_>) -> io::Result<()> {
        meter.was_idle(wait(&mut self.poll, &mut self.events, self.spin)?);
        for event in &self.events {
            self.clients[event.token().0].advance(meter, &self.pattern, &mut self.scratch)?;
        }
        Ok(())
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
