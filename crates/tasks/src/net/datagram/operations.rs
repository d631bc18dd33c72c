//! What datagram sockets do, as futures.

use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use marline_reactor::{Address, DatagramTransport};

use super::super::turns::{NO_TICKET, Ticket};
use super::DatagramSocket;
use super::state::what;
use crate::local::Local;
use crate::wake::attempt;

/// The future of [`DatagramSocket::recv_from`].
#[must_use = "futures do nothing unless awaited"]
pub struct RecvFrom<'a> {
    socket: &'a DatagramSocket,
    buffer: &'a mut [u8],
    ticket: Ticket,
    place: &'static Location<'static>,
}

impl<'a> RecvFrom<'a> {
    pub(super) fn new(
        socket: &'a DatagramSocket,
        buffer: &'a mut [u8],
        place: &'static Location<'static>,
    ) -> Self {
        Self { socket, buffer, ticket: NO_TICKET, place }
    }
}

impl Future for RecvFrom<'_> {
    type Output = io::Result<(usize, Address)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let local = this.socket.local(this.place)?;
        if this.ticket == NO_TICKET {
            this.ticket = local.streams.ticket();
        }
        let ticket = this.ticket;
        let polled = attempt(context, what(), |visitor| {
            let step = local.datagrams.with(this.socket.key, |state| {
                if let Err(error) = state.reader.check(ticket) {
                    return Some(Poll::Ready((Err(error), None, None)));
                }
                match state.take(this.buffer) {
                    Some(taken) => {
                        Some(Poll::Ready((taken, Some(state.reader.leave(ticket)), state.to_resume())))
                    }
                    None => state.reader.wait(ticket, visitor).map(|()| Poll::Pending),
                }
            });
            // Without a socket there is nothing to wait for.
            step.map_or(Some(None), |step| step.map(Some))
        });
        let Some(polled) = polled else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let (taken, left, resumed) = ready!(polled);
        if let Some(transport) = resumed {
            transport.resume_reading();
        }
        if let Some(left) = left {
            left.settle();
        }
        Poll::Ready(taken)
    }
}

impl Drop for RecvFrom<'_> {
    fn drop(&mut self) {
        if self.ticket == NO_TICKET {
            return;
        }
        let Some(local) = Local::find(&self.socket.remote) else { return };
        let left = local.datagrams.with(self.socket.key, |state| state.reader.leave(self.ticket));
        left.unwrap_or_default().settle();
    }
}

/// The future of [`DatagramSocket::send_to`] and [`DatagramSocket::send`].
#[must_use = "futures do nothing unless awaited"]
pub struct SendTo<'a> {
    socket: &'a DatagramSocket,
    data: &'a [u8],
    target: Option<Address>,
    place: &'static Location<'static>,
}

impl<'a> SendTo<'a> {
    pub(super) fn new(
        socket: &'a DatagramSocket,
        data: &'a [u8],
        target: Option<Address>,
        place: &'static Location<'static>,
    ) -> Self {
        Self { socket, data, target, place }
    }

    fn send(&self, transport: &DatagramTransport) -> io::Result<()> {
        let sent = match &self.target {
            Some(target) => transport.send_to(self.data, target),
            None => transport.send(self.data),
        };
        Ok(sent.map(drop)?)
    }
}

impl Future for SendTo<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let local = self.socket.local(self.place)?;
        let transport = self.socket.transport_in(&local)?;
        // A system that takes everything would let nobody else have a turn.
        ready!(local.executor.allowance.poll_use(context));
        if transport.buffered() <= transport.watermarks().1 || transport.is_closing() {
            return Poll::Ready(self.send(&transport));
        }
        // More than that waits, so the pause was told or is about to be, and the resume wakes whoever waits.
        let waits = attempt(context, what(), |visitor| {
            let step = local.datagrams.with(self.socket.key, |state| match state.broken() {
                Some(error) => Some(Err(error)),
                None => state.writer.wait(NO_TICKET, visitor).map(Ok),
            });
            step.unwrap_or(Some(Err(io::ErrorKind::NotConnected.into())))
        });
        waits.map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
    }
}
