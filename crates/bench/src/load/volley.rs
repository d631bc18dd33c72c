//! A connection with one message after the other, each timed.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::channel::Channel;
use super::exchange::Exchange;
use super::pattern::Pattern;

/// A fast client.
pub(super) struct Volley {
    channel: Channel,
    exchange: Exchange,
    number: u64,
    begun: Instant,
}

impl Volley {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (channel, begun) = (Channel::Plain(stream), Instant::now());
        Self { channel, exchange: Exchange::default(), number: 0, begun }
    }

    /// Sends the next message.
    pub(super) fn begin(&mut self, pattern: &Pattern) -> io::Result<()> {
        self.number += 1;
        self.begun = Instant::now();
        self.exchange = Exchange::default();
        self.exchange.send(&mut self.channel, pattern.message(self.number))
    }

    /// Goes on, and tells how long the round trip took once it is over.
    pub(super) fn advance(&mut self, pattern: &Pattern, scratch: &mut [u8]) -> io::Result<Option<Duration>> {
        let message = pattern.message(self.number);
        self.exchange.send(&mut self.channel, message)?;
        let complete = self.exchange.receive(&mut self.channel, message, scratch)?;
        Ok(complete.then(|| self.begun.elapsed()))
    }
}
