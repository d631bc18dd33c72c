//! One message, to the server and back.

use std::io::{self, Read, Write};

use super::channel::Channel;

/// How far a message has come. Every byte of the answer is compared.
#[derive(Default)]
pub(super) struct Exchange {
    sent: usize,
    received: usize,
}

impl Exchange {
    /// Sends what the socket takes. If that is not all, an event will tell when it takes more.
    pub(super) fn send(&mut self, channel: &mut Channel, message: &[u8]) -> io::Result<()> {
        while self.sent < message.len() {
            match channel.write(&message[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives what is there, and tells whether the answer is complete. Events are for edges, so it reads until the socket is
    /// empty, or until nothing more can come because everything did.
    pub(super) fn receive(
        &mut self,
        channel: &mut Channel,
        message: &[u8],
        scratch: &mut [u8],
    ) -> io::Result<bool> {
        while self.received < message.len() {
            match channel.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within an answer")),
                Ok(count) => {
                    let expected = message.get(self.received..self.received + count);
                    if expected != Some(&scratch[..count]) {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "the answer is not the message",
                        ));
                    }
                    self.received += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
