//! What streams and their halves do, as futures that hold a turn.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::io::{Door, Port};
use super::turns::{NO_TICKET, Ticket};

/// The future of [`Stream::read`](super::Stream::read) and [`ReadHalf::read`](super::ReadHalf::read).
#[must_use = "futures do nothing unless awaited"]
pub struct Read<'a> {
    port: &'a Port,
    buffer: &'a mut [u8],
    ticket: Ticket,
}

impl<'a> Read<'a> {
    pub(super) fn new(port: &'a Port, buffer: &'a mut [u8]) -> Self {
        Self { port, buffer, ticket: NO_TICKET }
    }
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket == NO_TICKET {
            this.ticket = this.port.door.ticket()?;
        }
        this.port.poll_read(this.ticket, context, this.buffer)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        if self.ticket != NO_TICKET {
            self.port.door.leave(self.ticket, |state| &mut state.reader);
        }
    }
}

/// The future of [`Stream::write_all`](super::Stream::write_all) and [`WriteHalf::write_all`](super::WriteHalf::write_all).
#[must_use = "futures do nothing unless awaited"]
pub struct WriteAll<'a> {
    door: &'a Door,
    data: &'a [u8],
    written: usize,
    ticket: Ticket,
}

impl<'a> WriteAll<'a> {
    pub(super) fn new(door: &'a Door, data: &'a [u8]) -> Self {
        Self { door, data, written: 0, ticket: NO_TICKET }
    }
}

impl Future for WriteAll<'_> {
    type Output = io::Result<()>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket == NO_TICKET {
            this.ticket = this.door.ticket()?;
        }
        while this.written < this.data.len() {
            this.written += ready!(this.door.poll_write(this.ticket, context, &this.data[this.written..]))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WriteAll<'_> {
    fn drop(&mut self) {
        if self.ticket != NO_TICKET {
            self.door.leave(self.ticket, |state| &mut state.writer);
        }
    }
}

pub(super) async fn flush(door: &Door) -> io::Result<()> {
    let turn = Writing::begin(door)?;
    poll_fn(|context| turn.door.poll_flush(turn.ticket, context)).await
}

pub(super) async fn close(door: &Door) -> io::Result<()> {
    let turn = Writing::begin(door)?;
    poll_fn(|context| turn.door.poll_close(turn.ticket, context)).await
}

/// A flush or a close that is under way: as a write, it is the only one.
struct Writing<'a> {
    door: &'a Door,
    ticket: Ticket,
}

impl<'a> Writing<'a> {
    fn begin(door: &'a Door) -> io::Result<Self> {
        Ok(Self { door, ticket: door.ticket()? })
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.door.leave(self.ticket, |state| &mut state.writer);
    }
}
