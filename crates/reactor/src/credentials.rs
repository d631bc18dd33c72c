//! Who is at the other end of a UNIX socket.

/// Who is at the other end of a UNIX socket: the user, the group, and the process, as the system knows them.
///
/// Of who connected, they are those of the moment of connect(2). Of who accepted, they are those of listen(2), or of
/// socketpair(2) for a pair (unix(7)): where a service manager made the listener, it is the manager, and not the server.
///
/// The process may have ended since, and its number may be another's by now: the user is what to base a decision on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process, if it can be named here: one of another namespace may have no number that we could use.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}
