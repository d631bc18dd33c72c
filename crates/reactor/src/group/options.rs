//! What can be chosen about a group.

use std::time::Duration;

/// Which loop gets a connection: how their load is balanced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// Each loop listens on the port itself, and the system gives each a share (socket(7): SO_REUSEPORT), by a hash of the
    /// addresses: no connection crosses from one thread to another. Where that cannot be (UNIX sockets, inherited ones, systems
    /// other than Linux) it is as with [`LeastConnections`](Self::LeastConnections).
    #[default]
    System,
    /// One loop accepts, and hands the connections to all in turn.
    RoundRobin,
    /// One loop accepts, and hands each connection to the one that has the fewest of that listener.
    LeastConnections,
}

/// What becomes of the others when a loop breaks: a panic that nothing contained, one that [stops](crate::OnPanic::Stop) its loop, or
/// a backend that does not go on. It holds during a [restart](super::GroupHandle::restart), too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBroken {
    /// They stop too, and the group ends with the report.
    #[default]
    Stop,
    /// They go on, and one of them listens in its place. The report comes when the group ends.
    GoOn,
}

/// What a signal of the operating system does to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSignal {
    /// [Stops](super::GroupHandle::stop) it.
    Stop,
    /// [Drains](super::GroupHandle::drain) it, for so long at most. If the group ends already, it stops: so the second one does.
    Drain(Duration),
    /// [Restarts](super::GroupHandle::restart) one loop after the other, each of which has so long to drain. It is reported through
    /// `tracing` if that does not come to its end; while the group restarts, or ends, it does nothing.
    Restart(Duration),
}
