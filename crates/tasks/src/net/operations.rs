//! What streams and their halves do, as futures that hold a turn.
//!
//! Each knows the place in the program where it was made, which a report of its use on the wrong thread names.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::RangeBounds;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::io::{Door, Port};
use super::turns::{NO_TICKET, Ticket};

/// The future of [`Stream::read`](super::Stream::read) and [`ReadHalf::read`](super::ReadHalf::read).
#[must_use = "futures do nothing unless awaited"]
pub struct Read<'a> {
    port: &'a Port,
    buffer: &'a mut [u8],
    ticket: Ticket,
    place: &'static Location<'static>,
}

impl<'a> Read<'a> {
    #[track_caller]
    pub(super) fn new(port: &'a Port, buffer: &'a mut [u8]) -> Self {
        Self { port, buffer, ticket: NO_TICKET, place: Location::caller() }
    }
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket == NO_TICKET {
            this.ticket = this.port.door.ticket(this.place)?;
        }
        let read = this.port.poll_read(this.ticket, context, this.buffer);
        if matches!(read, Poll::Ready(Ok(_))) {
            // The turn ended with it, and the drop need not look for it.
            this.ticket = NO_TICKET;
        }
        read
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
    place: &'static Location<'static>,
}

impl<'a> WriteAll<'a> {
    #[track_caller]
    pub(super) fn new(door: &'a Door, data: &'a [u8]) -> Self {
        Self { door, data, written: 0, ticket: NO_TICKET, place: Location::caller() }
    }
}

impl Future for WriteAll<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // A turn is for those who may have to wait.
        if this.ticket == NO_TICKET && this.door.write_straight(this.data) {
            return Poll::Ready(Ok(()));
        }
        if this.ticket == NO_TICKET {
            this.ticket = this.door.ticket(this.place)?;
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

/// Sends a file, and waits until the system has taken all of it.
#[track_caller]
pub(super) fn send_file<R: RangeBounds<u64>>(
    door: &Door,
    file: Arc<File>,
    range: R,
) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_, R> {
    let place = Location::caller();
    let range = (range.start_bound().cloned(), range.end_bound().cloned());
    async move {
        let turn = Writing { door, ticket: door.ticket(place)? };
        poll_fn(|context| turn.door.poll_writable(turn.ticket, context)).await?;
        door.send_file(file, range)?;
        poll_fn(|context| turn.door.poll_flush(turn.ticket, context)).await
    }
}

#[track_caller]
pub(super) fn flush(door: &Door) -> impl Future<Output = io::Result<()>> + Send + Sync {
    Writing::run(door, Location::caller(), Door::poll_flush)
}

#[track_caller]
pub(super) fn close(door: &Door) -> impl Future<Output = io::Result<()>> + Send + Sync {
    Writing::run(door, Location::caller(), Door::poll_close)
}

/// A flush or a close, or what else writes, while it is under way: as a write, it is the only one.
pub(super) struct Writing<'a> {
    pub(super) door: &'a Door,
    pub(super) ticket: Ticket,
}

impl<'a> Writing<'a> {
    pub(super) async fn run(
        door: &'a Door,
        place: &'static Location<'static>,
        poll: fn(&Door, Ticket, &Context<'_>) -> Poll<io::Result<()>>,
    ) -> io::Result<()> {
        let turn = Self { door, ticket: door.ticket(place)? };
        poll_fn(|context| poll(turn.door, turn.ticket, context)).await
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.door.leave(self.ticket, |state| &mut state.writer);
    }
}
