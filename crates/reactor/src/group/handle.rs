//! What steers a group from anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::report::{GroupStats, Rolled, collect};
use super::rolling::Roll;
use super::shared::Shared;
use super::supervisor::Message;
use super::worker::Worker;
use crate::address::Address;
use crate::remote::Remote;

/// Steers a group from any thread: `Send`, `Sync` and `Clone`. Nothing here waits.
///
/// The end of the group is told by [`Running::join`](super::Running::join), or by [`Group::run`](super::Group::run).
#[derive(Clone)]
pub struct GroupHandle {
    pub(super) shared: Arc<Shared>,
}

impl GroupHandle {
    /// The group whose loop runs here.
    #[must_use]
    pub fn current() -> Option<Self> {
        Worker::current().map(|worker| worker.group_handle())
    }

    /// How many loops it has places for.
    #[must_use]
    pub fn loops(&self) -> usize {
        self.shared.loops()
    }

    /// Where it listens, in the order in which it was asked to. Empty once it ends.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.shared.sockets.addresses()
    }

    /// The door to a loop, by its place: numbers beyond the last begin anew, so that any hash will do. If that loop takes no more
    /// work, it is the next one that does. [Hooks](super::Group::on_start) may give work to every loop: it is done when that has
    /// begun.
    ///
    /// Programs that restart loops ask for it each time, as the next loop in that place has another door.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "a handle is given out when every place is taken")]
    pub fn remote(&self, index: usize) -> Remote {
        self.shared.remote(index).expect("every place was taken before a hook ran")
    }

    /// The door to the loop whose turn it is to be given work.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "a handle is given out when every place is taken")]
    pub fn next_remote(&self) -> Remote {
        self.shared.next_remote().expect("every place was taken before a hook ran")
    }

    /// Ends the group at once: every loop shuts down, and what stands is told so.
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    /// Ends the group in good order: whoever waits to be accepted still is, then the listeners close, and each loop ends when its
    /// connections have, and its other [work](Worker::busy). What is left of that after `limit` is aborted, and the
    /// [report](super::Report) says how much it was.
    ///
    /// Protocols go on as before: those whose connections do not end by themselves are told with
    /// [`Worker::on_drain`]. To stop meanwhile is allowed.
    pub fn drain(&self, limit: Duration) {
        self.send(Message::Drain(limit));
    }

    /// Puts a new loop in the place of each, one after the other, and tells `done` what came of it, on a thread of the group's.
    ///
    /// The new loop is made as the first was, with its [hooks](super::Group::on_start), and listens on the same sockets before the
    /// old one drains: whoever waits is left to the new one. If it cannot start, the old one goes on and nothing more is replaced.
    ///
    /// Nothing of this waits for `done`, which is called once in any case: also if the group is over, then by this call.
    pub fn restart(&self, limit: Duration, done: impl FnOnce(Rolled) + Send + 'static) {
        self.send(Message::Roll(Roll::new(limit, true, Box::new(done))));
    }

    /// Drains the group one loop after the other, each for `limit` at most, and tells `done` what came of it, as
    /// [`restart`](Self::restart) does. Those that are left listen in the place of each, so that nobody is refused until the last has
    /// begun to drain; that one ends the group.
    pub fn drain_in_turn(&self, limit: Duration, done: impl FnOnce(Rolled) + Send + 'static) {
        self.send(Message::Roll(Roll::new(limit, false, Box::new(done))));
    }

    /// Asks every loop what it counts, also those that drain while others have their places, through its [`Remote`], and tells `done` when all have answered or are gone: on the thread
    /// of the last. A loop that is busy answers when it comes to it.
    pub fn stats(&self, done: impl FnOnce(GroupStats) + Send + 'static) {
        collect(&self.shared, Box::new(done));
    }

    fn send(&self, message: Message) {
        // A group that is over has ended already. Whoever waits for what comes of it is told so by the message, as it is dropped.
        let _ = self.shared.messages.send(message);
    }
}

impl fmt::Debug for GroupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle").field("loops", &self.loops()).finish_non_exhaustive()
    }
}
