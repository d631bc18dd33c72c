//! What the core and a backend tell each other, as plain data.

use std::io;
use std::os::fd::RawFd;

#[allow(unused_imports, reason = "the documentation links to it")]
use super::Backend;
#[allow(unused_imports, reason = "the documentation links to it")]
use super::Room;
use super::Sent;
use super::memory::VirtualSource;
use crate::instant::Instant;
use crate::key::Key;
use crate::watch::Ready;

/// How long [`Backend::wait`] may sleep.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Come back at this moment, or never on account of time. A moment that has passed asks for a look at what
    /// is there, without sleeping.
    pub until: Option<Instant>,
    /// The loop's own helper threads are at work, and will wake it. A virtual clock must not jump meanwhile.
    pub helpers_busy: bool,
}

/// The answer to an operation, or the promise of one.
#[derive(Debug)]
pub enum Started<T> {
    /// It is done, and no completion follows.
    Done(T),
    /// A completion will answer.
    Pending,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// A connection may have bytes or its end to receive, a listener may have connections to accept.
    Input(Key),
    /// A datagram socket that had [no room](Room::None) may have some.
    Output(Key),
    /// A send is done.
    Sent(Key, Sent),
    /// A connection attempt succeeded or failed. After a failure the key still wants its close.
    Connected(Key, io::Result<()>),
    /// A shutdown is done.
    Shut(Key, io::Result<()>),
    /// The listener [accepts no more](Backend::stop_accepting). What it accepted before can still be had.
    AcceptsNoMore(Key),
    /// A close is done: the last that is heard of that key.
    Closed(Key),
    /// The peer of a [watched](Backend::watch_peer) connection ended it, or it broke. Bytes may still be there.
    PeerClosed {
        /// Which connection.
        key: Key,
        /// Whether it broke (a reset, a timeout), so that nothing can be sent any more.
        reset: bool,
    },
    /// A [watched](Backend::watch) source is ready.
    Ready {
        /// Which.
        key: Key,
        /// For what.
        ready: Ready,
    },
}

/// What a backend watches: a foreign source.
///
/// [`watch`](Backend::watch) gives a key to something that the backend neither made nor owns: a descriptor, above all. It is
/// *edge-triggered*: [`Completion::Ready`] tells a change once, with the state of all that was asked for, and the state
/// at `watch` and at each [`rewatch`](Backend::rewatch) as the first change (where something is ready). Levels are made of
/// that by the core, which asks again after each event it delivered. What was not asked for need not be kept back:
/// the core filters it. With an empty interest nothing is told, and no event of the kernel's may end a wait.
///
/// [`close`](Backend::close) ends it and leaves the descriptor open. Once it returned, the descriptor's number is not used
/// again, answered or not: its owner may close it at once. A multishot poll of an io_uring therefore has to be cancelled
/// by its user data, and submitted by the close itself if the kernel would otherwise hold the file.
///
/// Sources of mio's register themselves, which is code of the user's. So the core asks for a
/// [`registry`](Backend::registry) and lets them do that while the backend is not borrowed; the backend only learns that
/// the key stands for [`Registered`](Self::Registered). A completion backend gives the registry of a poll of its own, and polls
/// that one's descriptor. All of this may be left out: the defaults say `Unsupported`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Watchable {
    /// A descriptor that somebody else owns.
    Descriptor(RawFd),
    /// Something that registers itself with the backend's [`registry`](Backend::registry), right after this.
    Registered,
    /// Something without a kernel, for the memory backend.
    Virtual(VirtualSource),
}

/// How to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// In good order: the peer sees an end.
    Orderly,
    /// At once: the peer sees a reset, where the transport has such a thing.
    Reset,
    /// For watched sources: without a word to the system about the descriptor, whose number may be somebody else's by now.
    Forget,
}
