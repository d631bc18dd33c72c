//! Reading and writing, as streams and their halves share it.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use marline_reactor::{Address, Addresses, Remote, Transport, WriteStatus};
use parking_lot::Mutex;

use super::received::Received;
use super::state::{Phase, StreamCell, StreamState};
use super::straight::{Came, Straight};
use super::turns::{NO_TICKET, Ticket, Turn};
use crate::error::{UntakenDescriptors, WrongThread};
use crate::local::Local;
use crate::mail;
use crate::table::TableKey;
use crate::wake::{Visitor, attempt};

/// A write is cut into pieces of what fits below the high watermark, but of no less than this.
const PIECE: usize = 16 * 1024;
/// How much is sent at once at most.
const AT_ONCE: usize = 256 * 1024;

/// The way from a handle, which may go to any thread, to the stream, which may be touched on that of its loop only.
pub(super) struct Door {
    pub(super) remote: Remote,
    pub(super) cell: Arc<StreamCell>,
}

/// What to do when the stream's state is no longer borrowed.
enum Step<T> {
    Ready(T),
    Wait(Option<Transport>),
}

impl Door {
    pub(super) fn key(&self) -> TableKey {
        self.cell.key()
    }

    pub(super) fn local(&self) -> io::Result<Rc<Local>> {
        match Local::find(&self.remote) {
            Some(local) => Ok(local),
            None => Err(self.wrong_thread(None)),
        }
    }

    /// As [`local`](Self::local), for a caller who knows its place in the program.
    fn local_at(&self, place: Option<&'static Location<'static>>) -> io::Result<Rc<Local>> {
        Local::find(&self.remote).ok_or_else(|| self.wrong_thread(place))
    }

    #[cold]
    fn wrong_thread(&self, place: Option<&'static Location<'static>>) -> io::Error {
        WrongThread::of("a stream", &self.remote, place).into()
    }

    /// As [`with`](Self::with), for what may keep the waker of who polls; `None` if that has to be cloned first.
    fn attempt<R>(
        &self,
        local: &Local,
        context: &Context<'_>,
        mut step: impl FnMut(&mut StreamState, &mut Visitor<'_>) -> Option<R>,
    ) -> io::Result<R> {
        attempt(context, "a stream", |visitor| self.with(local, |state| step(state, visitor)).transpose())
    }

    pub(super) fn with<R>(&self, local: &Local, change: impl FnOnce(&mut StreamState) -> R) -> io::Result<R> {
        local.streams.with(self.key(), change).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// For an operation that was asked for at this place.
    pub(super) fn ticket(&self, place: &'static Location<'static>) -> io::Result<Ticket> {
        Ok(self.local_at(Some(place))?.streams.ticket())
    }

    #[track_caller]
    pub(super) fn transport(&self) -> io::Result<Transport> {
        let local = self.local_at(Some(Location::caller()))?;
        let transport = self.with(&local, |state| state.transport.clone());
        transport?.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// One end of the connection, also of one that is about to be made.
    #[track_caller]
    pub(super) fn address(
        &self,
        of: fn(&Transport) -> Option<Address>,
        expected: fn(Addresses) -> Address,
    ) -> io::Result<Address> {
        let local = self.local_at(Some(Location::caller()))?;
        let transport = self.with(&local, |state| state.transport.clone())?;
        let address = match transport {
            Some(transport) => of(&transport),
            None => local.streams.expected(self.key()).map(expected),
        };
        address.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    // Reading.

    /// Waits until `take` finds something in what was received, or the end: `None` at the end.
    #[inline]
    fn poll_received<R>(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        mut take: impl FnMut(&mut Received) -> R,
    ) -> Poll<io::Result<Option<R>>> {
        let local = self.local()?;
        match local.streams.come_for(self.key(), ticket, context, 0, &mut take) {
            Came::Bytes(taken) => Poll::Ready(Ok(Some(taken))),
            Came::Nothing(transport) => {
                transport.resume_reading();
                Poll::Pending
            }
            Came::Left(_) | Came::Unusual => self.poll_received_anyhow(&local, ticket, context, take),
        }
    }

    /// As [`poll_received`](Self::poll_received), into the memory of whoever reads: how much it was, and 0 at the end.
    #[inline]
    fn poll_read(&self, ticket: Ticket, context: &Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.cell.read_straight(ticket, context, into) {
            Straight::Read(count) => Poll::Ready(Ok(count)),
            Straight::Waits => Poll::Pending,
            Straight::Unusual => self.poll_read_closely(ticket, context, into),
        }
    }

    #[inline(never)]
    fn poll_read_closely(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let local = self.local()?;
        let (streams, room) = (&local.streams, into.len());
        match streams.come_for(self.key(), ticket, context, room, |received| received.take(into)) {
            Came::Bytes(count) => return Poll::Ready(Ok(count)),
            Came::Left(transport) => {
                // A peer who writes as fast never lets it wait.
                let allowance = &local.executor.allowance;
                if allowance.is_used_up() {
                    streams.with(self.key(), |state| state.leave_again(ticket));
                }
                ready!(allowance.poll_use(context));
                if let Some(count) = streams.take_left(self.key(), &transport, into) {
                    allowance.charge(count);
                    return Poll::Ready(Ok(count));
                }
            }
            Came::Nothing(transport) => {
                transport.resume_reading();
                return Poll::Pending;
            }
            Came::Unusual => {}
        }
        let read = self.poll_received_anyhow(&local, ticket, context, |received| received.take(into));
        read.map_ok(|count| count.unwrap_or(0))
    }

    /// The same, in whatever state the stream is.
    #[cold]
    fn poll_received_anyhow<R>(
        &self,
        local: &Local,
        ticket: Ticket,
        context: &Context<'_>,
        mut take: impl FnMut(&mut Received) -> R,
    ) -> Poll<io::Result<Option<R>>> {
        let mut spent = None;
        let step = self.attempt(local, context, |state, visitor| {
            if let Err(error) = state.reader.check(ticket) {
                return Some(Step::Ready(Err(error)));
            }
            let answer = if !state.received.is_empty() {
                let taken = take(&mut state.received);
                if state.received.is_empty() {
                    spent = Some(std::mem::take(&mut state.received));
                }
                Ok(Some(taken))
            } else if state.eof || state.is_lost() {
                state.broken().map_or(Ok(None), Err)
            } else if let Some(error) = state.handed_over() {
                Err(error)
            } else if state.has_many_descriptors() {
                Err(UntakenDescriptors::new().into())
            } else {
                // The protocol, when it is put in place, finds out by itself that somebody waits.
                let transport = state.transport.clone().filter(|_| state.phase == Phase::InPlace);
                return state.reader.wait(ticket, visitor).map(|()| Step::Wait(transport));
            };
            Some(Step::Ready(answer.map(|taken| (taken, state.reader.leave(ticket)))))
        })?;
        if let Some(spent) = spent {
            local.streams.give_back(spent);
        }
        match step {
            Step::Ready(Ok((Some(taken), left))) => {
                left.settle();
                Poll::Ready(Ok(Some(taken)))
            }
            // Unlike bytes, the end can be read again and again.
            Step::Ready(end) => {
                let end = end.map(|(_, left)| left.settle());
                ready!(local.executor.allowance.poll_use(context));
                Poll::Ready(end.map(|()| None))
            }
            Step::Wait(transport) => {
                if let Some(transport) = transport {
                    transport.resume_reading();
                }
                Poll::Pending
            }
        }
    }

    #[track_caller]
    pub(super) fn take_descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        let local = self.local_at(Some(Location::caller()))?;
        self.with(&local, StreamState::take_descriptors)
    }

    // Writing.

    /// Waits until there is room, then writes what fits.
    #[inline(always)]
    pub(super) fn poll_write(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_straight(data) {
            return Poll::Ready(Ok(data.len()));
        }
        self.poll_write_closely(ticket, context, data)
    }

    #[inline(never)]
    fn poll_write_closely(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let local = self.local()?;
        let straight = local.streams.writable_straight(self.key());
        let roomy = straight.and_then(|transport| transport.room().map(|room| (transport, room)));
        let (transport, room) = match roomy {
            Some(found) => found,
            None => {
                let transport = ready!(self.poll_writable(ticket, context))?;
                let room = transport.room().unwrap_or(0);
                (transport, room)
            }
        };
        let piece = &data[..data.len().min(room.max(PIECE))];
        if piece.len() >= PIECE {
            // It may be sent at once, and a peer who reads as fast would let nobody else have a turn.
            ready!(local.executor.allowance.poll_use(context));
            // What is sent at once takes no memory, so it may be more than the watermark.
            let sent = transport.try_send(&data[..data.len().min(AT_ONCE)]);
            if sent > 0 {
                return Poll::Ready(Ok(sent));
            }
        }
        match transport.write(piece) {
            WriteStatus::Closed if self.is_lost_unheard(&local, &transport)? => {
                // The loss wakes who waits, and has the reason.
                self.poll_sent(ticket, context, |_| 0).map_ok(|_| 0)
            }
            WriteStatus::Closed => Poll::Ready(Err(self.write_error())),
            _ => Poll::Ready(Ok(piece.len())),
        }
    }

    /// Writes all of it, if it is not much and nothing is in its way: whether it was written.
    #[inline]
    pub(super) fn write_straight(&self, data: &[u8]) -> bool {
        self.cell.write_straight(data)
    }

    /// Whether the end of the connection is certain and its protocol was not told yet. That is worth waiting for, but not
    /// where nobody is polled any more: there the caller is a destructor, and a backend may take turns over the close.
    pub(super) fn is_lost_unheard(&self, local: &Local, transport: &Transport) -> io::Result<bool> {
        let unheard = transport.is_lost() && self.with(local, |state| !state.is_lost())?;
        if unheard && local.executor.is_ending() { Err(self.write_error()) } else { Ok(unheard) }
    }

    /// Waits until no more than the high watermark waits to be sent.
    pub(super) fn poll_writable(&self, ticket: Ticket, context: &Context<'_>) -> Poll<io::Result<Transport>> {
        self.poll_sent(ticket, context, |transport| transport.watermarks().1)
    }

    /// Puts a file behind what was written.
    pub(super) fn send_file(&self, file: Arc<File>, range: (Bound<u64>, Bound<u64>)) -> io::Result<()> {
        let transport = self.transport()?;
        match transport.send_file(file, range)? {
            // The loss has the reason, and is waited for as the end of the file is.
            WriteStatus::Closed if !self.is_lost_unheard(&*self.local()?, &transport)? => {
                Err(self.write_error())
            }
            _ => Ok(()),
        }
    }

    /// Puts a descriptor behind what was written.
    pub(super) fn send_descriptor(&self, descriptor: OwnedFd) -> io::Result<()> {
        match self.transport()?.send_descriptor(descriptor) {
            Ok(_) => Ok(()),
            Err(error) if error.is_closed() => Err(self.write_error()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what was written, and waits until the system has taken all of it.
    pub(super) fn poll_flush(&self, ticket: Ticket, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(ticket, context, |_| 0).map_ok(drop)
    }

    /// Ends our direction, and waits until that is sent.
    pub(super) fn poll_close(&self, ticket: Ticket, context: &Context<'_>) -> Poll<io::Result<()>> {
        let local = self.local()?;
        let (ended, error) = self.with(&local, |state| (state.is_lost(), state.broken()))?;
        if ended {
            return Poll::Ready(error.map_or(Ok(()), Err));
        }
        let closed = self.poll_sent(ticket, context, |transport| {
            transport.write_eof();
            transport.flush();
            0
        });
        if !matches!(closed, Poll::Ready(Err(_))) {
            self.with(&local, |state| state.closed = true)?;
        }
        closed.map_ok(drop)
    }

    /// Waits until at most so many bytes wait to be sent.
    fn poll_sent(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        at_most: impl FnOnce(&Transport) -> usize,
    ) -> Poll<io::Result<Transport>> {
        let local = self.local()?;
        let (ended, transport) = self.with(&local, |state| {
            state.writer.check(ticket)?;
            let ended = state.is_lost() || state.phase == Phase::Over;
            Ok::<_, io::Error>((ended, state.transport.clone()))
        })??;
        let Some(transport) = transport.filter(|_| !ended) else {
            if ended {
                return Poll::Ready(Err(self.write_error()));
            }
            self.wait_to_write(ticket, context)?;
            return Poll::Pending;
        };
        let at_most = at_most(&transport);
        if transport.buffered() > at_most {
            // A peer who reads as fast as we write takes everything, every time.
            ready!(local.executor.allowance.poll_use(context));
            transport.flush();
        }
        // A loss empties the queue too, and is told only after this turn's callbacks: the reason comes then.
        let is_lost_unheard = self.is_lost_unheard(&local, &transport)?;
        if transport.buffered() <= at_most && !is_lost_unheard {
            self.with(&local, |state| state.writer.leave(ticket))?.settle();
            return Poll::Ready(Ok(transport));
        }
        self.wait_to_write(ticket, context)?;
        // Whether or not a pause comes before, this tells when everything is sent.
        transport.notify_drained();
        Poll::Pending
    }

    pub(super) fn wait_to_write(&self, ticket: Ticket, context: &Context<'_>) -> io::Result<()> {
        self.attempt(&*self.local()?, context, |state, visitor| match state.writer.check(ticket) {
            Ok(()) => state.writer.wait(ticket, visitor).map(Ok),
            Err(error) => Some(Err(error)),
        })?
    }

    pub(super) fn write_error(&self) -> io::Error {
        let broken = self
            .local()
            .and_then(|local| self.with(&local, |state| state.broken().or_else(|| state.handed_over())));
        broken.ok().flatten().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    // Turns and handles.

    /// A future that held a turn is dropped.
    pub(super) fn leave(&self, ticket: Ticket, turn: fn(&mut StreamState) -> &mut Turn) {
        let Some(local) = Local::find(&self.remote) else { return };
        let left = local.streams.with(self.key(), |state| turn(state).leave(ticket));
        left.unwrap_or_default().settle();
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { remote: self.remote.clone(), cell: Arc::clone(&self.cell) }
    }

    /// The handle of one side is dropped, or that of both, on whatever thread.
    pub(super) fn drop_sides<const READING: bool, const WRITING: bool>(&self) {
        on_loop(&self.remote, self.key(), |local, key| local.streams.drop_sides::<READING, WRITING>(key));
    }
}

/// Does something in a loop, from whatever thread. If the loop is gone there is nothing to do.
pub(crate) fn on_loop(remote: &Remote, key: TableKey, act: fn(&Local, TableKey)) {
    if let Some(local) = Local::find(remote) {
        act(&local, key);
        return;
    }
    let there = remote.clone();
    _ = mail::send(remote, move || {
        if let Some(local) = Local::find(&there) {
            act(&local, key);
        }
    });
}

/// The reading side of a handle: a door, and bytes that were taken out through it to be lent to the program.
pub(super) struct Port {
    pub(super) door: Door,
    taken: Mutex<Received>,
    has_taken: AtomicBool,
}

impl Port {
    pub(super) fn new(door: Door) -> Self {
        Self { door, taken: Mutex::default(), has_taken: AtomicBool::new(false) }
    }

    #[inline]
    pub(super) fn poll_read(
        &self,
        ticket: Ticket,
        context: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.has_taken.load(Ordering::Relaxed) {
            let count = self.read_taken(into)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
        self.door.poll_read(ticket, context, into)
    }

    /// Gives out again what was lent and not consumed.
    #[cold]
    fn read_taken(&self, into: &mut [u8]) -> io::Result<usize> {
        // A handle on the wrong thread gets no bytes either.
        self.door.local()?;
        let mut taken = self.taken.lock();
        let count = taken.take(into);
        self.has_taken.store(!taken.is_empty(), Ordering::Relaxed);
        Ok(count)
    }

    /// The bytes that are there, at least one unless it is the end.
    pub(super) fn poll_fill(&mut self, context: &Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.taken.get_mut().is_empty() {
            let filled = ready!(self.door.poll_received(NO_TICKET, context, std::mem::take))?;
            let used_up = std::mem::replace(self.taken.get_mut(), filled.unwrap_or_default());
            self.door.local()?.streams.give_back(used_up);
            *self.has_taken.get_mut() = !self.taken.get_mut().is_empty();
        }
        Poll::Ready(Ok(self.taken.get_mut().bytes()))
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.taken.get_mut().consume(count);
        *self.has_taken.get_mut() = !self.taken.get_mut().is_empty();
    }

    /// Lends nothing any more: what was taken out and not consumed.
    pub(super) fn take_back(&mut self) -> Received {
        *self.has_taken.get_mut() = false;
        std::mem::take(self.taken.get_mut())
    }
}
