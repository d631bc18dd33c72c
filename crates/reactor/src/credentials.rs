//! Who is at the other end of a UNIX socket.

/// Who was at the other end of a UNIX socket when the connection was made: the user, the group, and the process, as the
/// system knows them.
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
