//! One connection: what is known about its channel without asking.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use super::Channel;
use crate::address::Addresses;
use crate::backend::bits::Bits;
use crate::backend::poller::{Event, Poller, due, says};
use crate::backend::{Close, Completion, Outgoing, Received, Sent, Started, SystemCalls, socket};
use crate::credentials::Credentials;
use crate::key::Key;

/// A receive might give something.
const READABLE: Bits = Bits::bit(0);
/// A send might take something.
const WRITABLE: Bits = Bits::bit(1);
/// A receive that gives less than it could might leave something behind; [`Connection::receive`] tells when.
const DOUBTFUL: Bits = Bits::bit(2);
/// The connection attempt is under way.
const CONNECTING: Bits = Bits::bit(3);
/// The connection attempt failed, and there is nothing but a close to come.
const FAILED: Bits = Bits::bit(4);
/// The end was received.
const EOF: Bits = Bits::bit(5);
/// Our direction was ended.
const SHUT: Bits = Bits::bit(6);
/// An event said that the peer ended the connection.
const ENDED: Bits = Bits::bit(7);
/// The core wants to hear of that.
const WATCHED: Bits = Bits::bit(8);
/// The core has heard of that.
const TOLD: Bits = Bits::bit(9);
/// Others may have the open file description, too.
const SHARED: Bits = Bits::bit(10);
/// What is sent now is how our direction ends, and no bytes of the core's.
const FAREWELL: Bits = Bits::bit(11);
/// The channel was made ready for files.
const TAKES_FILES: Bits = Bits::bit(12);

/// A connection, or an attempt at one.
#[derive(Debug)]
pub(in crate::backend) struct Connection<C> {
    channel: C,
    state: Bits,
    /// The number of the error that broke the connection, or zero. The kernel tells each error once, to whichever
    /// call comes first, and afterwards a receive would take the broken connection for an ended one.
    error: u16,
    /// The send that waits until the socket is writable.
    outgoing: Option<Box<Outgoing>>,
}

impl<C: Channel> Connection<C> {
    /// An accepted connection. It starts out as not readable: its first event tells if it is.
    pub(in crate::backend) fn accepted(channel: C) -> Self {
        Self::new(channel, WRITABLE)
    }

    pub(in crate::backend) fn connecting(channel: C) -> Self {
        Self::new(channel, CONNECTING)
    }

    /// One that was made elsewhere, and may have other holders.
    pub(in crate::backend) fn shared(mut self) -> Self {
        self.state.insert(SHARED);
        self
    }

    fn new(channel: C, state: Bits) -> Self {
        Self { channel, state, error: 0, outgoing: None }
    }

    pub(in crate::backend) fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses> {
        self.channel.addresses(calls)
    }

    pub(in crate::backend) fn peer_credentials(&self, calls: &mut SystemCalls) -> io::Result<Credentials> {
        self.channel.peer_credentials(calls)
    }

    pub(in crate::backend) fn carries_descriptors(&self) -> bool {
        self.channel.carries_descriptors()
    }

    /// The descriptors that came with what was just received.
    pub(super) fn take_descriptors(&self) -> Vec<OwnedFd> {
        self.channel.take_descriptors()
    }

    /// An event said that there is input, and room for output. Whether it says no more than that.
    pub(in crate::backend) fn has_usual_input(&mut self) -> bool {
        let is_usual = !self.state.has(CONNECTING.or(FAILED).or(EOF)) && self.outgoing.is_none();
        self.state.insert(READABLE.or(WRITABLE).when(is_usual));
        is_usual
    }

    /// The core received by itself after such an event, and there may be more, or it got no bytes.
    pub(in crate::backend) fn was_received(
        &mut self,
        result: io::Result<usize>,
        calls: &mut SystemCalls,
    ) -> Received {
        self.state.insert(READABLE.or(WRITABLE));
        match result {
            Ok(count) if count > 0 => Received::Filled(count),
            other => self.no_bytes(other, calls),
        }
    }

    /// The core sent by itself, and not everything that it had.
    pub(in crate::backend) fn was_sent(
        &mut self,
        result: io::Result<usize>,
        calls: &mut SystemCalls,
    ) -> usize {
        match result {
            Ok(count) => {
                self.state.remove(WRITABLE);
                count
            }
            Err(error) => self.sends_nothing(error, calls),
        }
    }

    /// Whether there may be more than so many bytes of what was asked for.
    #[inline(always)]
    fn leaves_more(&mut self, count: usize, asked: usize) -> bool {
        let drained = count < asked && self.channel.drains() && !self.state.has(DOUBTFUL);
        self.state.remove(READABLE.when(drained));
        !drained
    }

    /// Does what is due about `event`, until there is something to tell.
    #[inline]
    pub(in crate::backend) fn advance(
        &mut self,
        event: &mut Event,
        calls: &mut SystemCalls,
    ) -> Option<Completion> {
        while let Some(step) = event.due.pop() {
            let completion = match step {
                due::CONNECT => self.connected(event, calls),
                due::INPUT => Some(Completion::Input(event.key)),
                due::SEND => self.send_again(event.key, calls),
                due::PEER => self.peer_closed(event.key, calls),
                _ => {
                    event.due = self.look(event.says);
                    None
                }
            };
            if completion.is_some() {
                return completion;
            }
        }
        None
    }

    /// Notes what an event says, and tells what is due.
    fn look(&mut self, says: Bits) -> Bits {
        if self.state.has(FAILED) {
            return Bits::NONE;
        }
        let odd = says::ENDED.or(says::HUNG_UP).or(says::ERROR);
        self.state.insert(ENDED.when(says.has(says::ENDED)));
        self.state.insert(DOUBTFUL.when(says.has(odd.or(says::URGENT))));
        self.state.insert(WRITABLE.when(says.has(says::WRITABLE.or(odd))));
        // After the end, only that the connection broke is news: readable it stays for good.
        let news = if self.state.has(EOF) { says::ERROR } else { says::READABLE.or(odd) };
        let input = says.has(news);
        self.state.insert(READABLE.when(input));
        due::CONNECT
            .when(self.state.has(CONNECTING))
            .or(due::INPUT.when(input))
            .or(due::SEND.when(self.outgoing.is_some() && self.state.has(WRITABLE)))
            .or(due::PEER.when(self.state.has(WATCHED) && says.has(says::ENDED.or(says::ERROR))))
    }

    /// Finds out how the connection attempt ended, if it did.
    fn connected(&mut self, event: &mut Event, calls: &mut SystemCalls) -> Option<Completion> {
        let result = match self.broken(calls) {
            Some(error) => Err(error),
            None if self.channel.is_connected(calls) => Ok(()),
            None => {
                event.due = Bits::NONE;
                return None;
            }
        };
        self.state.remove(CONNECTING);
        if result.is_err() {
            self.state.insert(FAILED);
            event.due = Bits::NONE;
        }
        Some(Completion::Connected(event.key, result))
    }

    pub(in crate::backend) fn is_readable(&self) -> bool {
        self.state.has(READABLE)
    }

    /// Receives at least one byte into `memory`, or tells why not.
    ///
    /// A stream socket that gives less than was asked for is drained, and what comes later is announced by an event,
    /// so the call that would find nothing is saved. There are exceptions: an end or an error that arrived with the
    /// data was announced by the same event and not again, and urgent data ends a receive in the middle. If an event
    /// told of such a thing, receiving goes on until the kernel says itself that there is no more.
    #[inline(always)]
    pub(in crate::backend) fn receive(
        &mut self,
        memory: &mut [u8],
        calls: &mut SystemCalls,
    ) -> Result<usize, Received> {
        if !self.is_readable() {
            return Err(Received::Dry);
        }
        match self.channel.receive(memory, calls) {
            Ok(count) if count > 0 => {
                self.leaves_more(count, memory.len());
                Ok(count)
            }
            other => Err(self.no_bytes(other, calls)),
        }
    }

    #[cold]
    fn no_bytes(&mut self, received: io::Result<usize>, calls: &mut SystemCalls) -> Received {
        match received {
            Ok(_) => self.end(calls),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.state.remove(READABLE.or(DOUBTFUL));
                Received::Dry
            }
            Err(error) => {
                self.state.remove(READABLE);
                self.remember(&error);
                Received::Failed(error)
            }
        }
    }

    /// A receive gave no bytes. That is the end, unless the socket holds an error: once a FIN was received, Linux
    /// answers every receive with zero bytes (SOCK_DONE), even after a reset.
    fn end(&mut self, calls: &mut SystemCalls) -> Received {
        self.state.remove(READABLE.or(DOUBTFUL));
        let again = self.state.has(EOF);
        match self.broken_at_end(again, calls) {
            Some(error) => Received::Failed(error),
            None if again => Received::Dry,
            None => {
                self.state.insert(EOF);
                Received::Eof
            }
        }
    }

    /// Sends from the front of `outgoing`, or keeps it for later.
    ///
    /// A stream socket that takes less than was offered is full, and tells when it has room again. That saves the
    /// call that would find it full.
    #[inline]
    pub(in crate::backend) fn send(
        &mut self,
        outgoing: Box<Outgoing>,
        calls: &mut SystemCalls,
    ) -> Started<Sent> {
        if !self.state.has(WRITABLE) {
            self.outgoing = Some(outgoing);
            return Started::Pending;
        }
        let sent = match outgoing.file() {
            Some(range) => self.channel.send_file(range, calls),
            None => self.channel.send(&outgoing, calls),
        };
        let result = match sent {
            Ok((count, more)) => {
                self.state.remove(WRITABLE.when(!more));
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.state.remove(WRITABLE);
                self.outgoing = Some(outgoing);
                return Started::Pending;
            }
            Err(error) => Err(self.refused(error, calls)),
        };
        Started::Done(Sent { outgoing, result })
    }

    /// Whether files may be sent.
    pub(in crate::backend) fn sends_files(&mut self, calls: &mut SystemCalls) -> bool {
        if self.state.has(TAKES_FILES) {
            return true;
        }
        let shared = self.state.has(SHARED);
        let takes = self.channel.takes_files(shared, calls);
        self.state.insert(TAKES_FILES.when(takes && !shared));
        takes
    }

    /// Sends from the front of `parts` what there is room for. A failure is met again by the next send.
    #[inline(always)]
    pub(in crate::backend) fn send_now(&mut self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> usize {
        if !self.state.has(WRITABLE) {
            return 0;
        }
        match self.channel.send_slices(parts, calls) {
            Ok((count, more)) => {
                self.state.remove(WRITABLE.when(!more));
                count
            }
            Err(error) => self.sends_nothing(error, calls),
        }
    }

    #[cold]
    fn sends_nothing(&mut self, error: io::Error, calls: &mut SystemCalls) -> usize {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.state.remove(WRITABLE);
        } else {
            let _ = self.refused(error, calls);
        }
        0
    }

    fn send_again(&mut self, key: Key, calls: &mut SystemCalls) -> Option<Completion> {
        let outgoing = self.outgoing.take()?;
        if self.state.has(FAREWELL) {
            return match self.send_farewell(outgoing, calls) {
                Started::Done(result) => Some(Completion::Shut(key, result)),
                Started::Pending => None,
            };
        }
        match self.send(outgoing, calls) {
            Started::Done(sent) => Some(Completion::Sent(key, sent)),
            Started::Pending => None,
        }
    }

    /// What a send's error means. A connection that we have not shut ourselves is a broken pipe for one reason only:
    /// it was broken before, and another call was told how.
    fn refused(&mut self, error: io::Error, calls: &mut SystemCalls) -> io::Error {
        if socket::is_shortage(&error) {
            return io::ErrorKind::WouldBlock.into();
        }
        let error = match error.kind() {
            io::ErrorKind::BrokenPipe if !self.state.has(SHUT) => {
                self.broken(calls).unwrap_or_else(socket::reset)
            }
            _ => error,
        };
        self.remember(&error);
        error
    }

    pub(in crate::backend) fn shutdown(
        &mut self,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> Started<io::Result<()>> {
        self.state.insert(SHUT);
        let farewell = match self.channel.shutdown(poller, calls) {
            Ok(farewell) if farewell.is_empty() => return Started::Done(Ok(())),
            Ok(farewell) => farewell,
            Err(error) => return Started::Done(Err(error)),
        };
        let mut outgoing = Box::<Outgoing>::default();
        outgoing.push_copy(&farewell);
        self.state.insert(FAREWELL);
        self.send_farewell(outgoing, calls)
    }

    /// Sends what ends our direction. If nobody takes it, that has ended already.
    fn send_farewell(
        &mut self,
        mut outgoing: Box<Outgoing>,
        calls: &mut SystemCalls,
    ) -> Started<io::Result<()>> {
        while !outgoing.is_empty() {
            let Started::Done(sent) = self.send(outgoing, calls) else { return Started::Pending };
            outgoing = sent.outgoing;
            let count = sent.result.unwrap_or(outgoing.len());
            outgoing.advance(count, &mut Vec::new());
        }
        self.state.remove(FAREWELL);
        Started::Done(Ok(()))
    }

    /// Begins to watch for the peer's end. Tells whether that has come already.
    pub(in crate::backend) fn watch(&mut self) -> bool {
        self.state.insert(WATCHED);
        self.state.has(ENDED) && !self.state.has(TOLD)
    }

    fn peer_closed(&mut self, key: Key, calls: &mut SystemCalls) -> Option<Completion> {
        if self.state.has(TOLD) {
            return None;
        }
        let reset = self.broken(calls).is_some();
        if !reset && !self.state.has(ENDED) {
            return None;
        }
        self.state.insert(TOLD);
        Some(Completion::PeerClosed { key, reset })
    }

    /// The error that broke the connection, if one did.
    fn broken(&mut self, calls: &mut SystemCalls) -> Option<io::Error> {
        self.known_error().or_else(|| {
            let error = self.channel.take_error(calls)?;
            self.remember(&error);
            Some(error)
        })
    }

    /// The same, after a receive gave nothing.
    fn broken_at_end(&mut self, again: bool, calls: &mut SystemCalls) -> Option<io::Error> {
        self.known_error().or_else(|| {
            let error = self.channel.error_at_end(again, calls)?;
            self.remember(&error);
            Some(error)
        })
    }

    fn known_error(&self) -> Option<io::Error> {
        (self.error != 0).then(|| io::Error::from_raw_os_error(i32::from(self.error)))
    }

    fn remember(&mut self, error: &io::Error) {
        let number = error.raw_os_error().and_then(|number| u16::try_from(number).ok());
        self.error = number.unwrap_or(self.error);
    }

    /// Whether there may be bytes that a close would answer with a reset.
    pub(in crate::backend) fn has_unread(&self) -> bool {
        self.is_readable() && !self.state.has(EOF) && self.error == 0
    }

    pub(in crate::backend) fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        self.channel.discard(scratch, calls);
    }

    pub(in crate::backend) fn channel(&self) -> &C {
        &self.channel
    }

    /// Closes the channel, and answers what is under way.
    pub(in crate::backend) fn close(
        self,
        key: Key,
        how: Close,
        poller: &Poller,
        answers: &mut VecDeque<Completion>,
        calls: &mut SystemCalls,
    ) {
        if self.state.has(SHARED) {
            self.channel.forget(poller, calls);
        }
        self.channel.close(how, poller, calls);
        if self.state.has(CONNECTING) {
            answers.push_back(Completion::Connected(key, Err(aborted())));
        }
        if let Some(outgoing) = self.outgoing {
            answers.push_back(if self.state.has(FAREWELL) {
                Completion::Shut(key, Err(aborted()))
            } else {
                Completion::Sent(key, Sent { outgoing, result: Err(aborted()) })
            });
        }
    }
}

fn aborted() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
