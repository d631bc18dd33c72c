//! Filters on the connection of a stream.

use std::io;
use std::panic::Location;
use std::task::{Context, Poll};

use marline_reactor::filter::{Filter, ReadAhead};

use super::io::Door;
use super::operations::Writing;
use super::state::Phase;
use super::stream::Stream;
use super::turns::Ticket;

impl Stream {
    /// Puts a [filter](marline_reactor::filter) between the stream and its connection, as
    /// [`Transport::push_filter`](marline_reactor::Transport::push_filter) does, and waits until it is established. The filter
    /// is in place when this returns, whether or not anybody awaits: what is written from then on goes through it.
    ///
    /// What the program did not read, also what it took by `AsyncBufRead` and did not consume, is the filter's or ends the
    /// connection, as `read_ahead` says.
    ///
    /// # Errors
    ///
    /// How the connection ended: why the filter failed. `BrokenPipe` if our direction was ended before; `ResourceBusy` if a
    /// write is under way. Also on the wrong thread.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing: what is written waits until the filter is established.
    ///
    /// ```
    /// use futures::io::AsyncBufReadExt;
    /// use marline_reactor::filter::{Filter, ReadAhead};
    /// use marline_tasks::Stream;
    ///
    /// /// Agrees with the peer on a filter, and goes on through it.
    /// async fn upgrade(mut stream: Stream, filter: impl Filter) -> std::io::Result<Stream> {
    ///     stream.write_all(b"COMPRESS\r\n").await?;
    ///     let mut answer = String::new();
    ///     stream.read_line(&mut answer).await?;
    ///     stream.push_filter(filter, ReadAhead::Refuse).await?;
    ///     Ok(stream)
    /// }
    /// ```
    #[track_caller]
    pub fn push_filter<F: Filter>(
        &mut self,
        filter: F,
        read_ahead: ReadAhead,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_, F> {
        let place = Location::caller();
        let pushed = self.push(filter, read_ahead);
        let door = &self.port.door;
        async move {
            pushed?;
            Writing::run(door, place, Door::poll_established).await
        }
    }

    #[track_caller]
    fn push<F: Filter>(&mut self, filter: F, read_ahead: ReadAhead) -> io::Result<()> {
        let transport = self.port.door.transport()?;
        let taken = self.port.take_back();
        let local = self.port.door.local()?;
        local.streams.with(self.port.door.key(), |state| state.received.put_front(taken));
        transport.push_filter(filter, read_ahead).map_err(|_| self.port.door.write_error())
    }
}

impl Door {
    /// Waits until bytes flow through all filters.
    fn poll_established(&self, ticket: Ticket, context: &Context<'_>) -> Poll<io::Result<()>> {
        let local = self.local()?;
        let (ended, transport) = self.with(&local, |state| {
            state.writer.check(ticket)?;
            let ended = state.is_lost() || state.phase == Phase::Over;
            Ok::<_, io::Error>((ended, state.transport.clone()))
        })??;
        let Some(transport) = transport.filter(|_| !ended) else {
            return Poll::Ready(Err(self.write_error()));
        };
        if transport.is_established() && !self.is_lost_unheard(&local, &transport)? {
            self.with(&local, |state| state.writer.leave(ticket))?.settle();
            return Poll::Ready(Ok(()));
        }
        self.wait_to_write(ticket, context)?;
        Poll::Pending
    }
}
