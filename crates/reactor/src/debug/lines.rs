//! The line of each thing in a dump.

use crate::connection::{Connection, Flags};
use crate::instant::Instant;
use crate::key::Key;
use crate::protocol::Internal;
use crate::reactor::Shell;

impl Shell {
    /// Names a connection: its number, the type of its protocol, and who is connected.
    pub(crate) fn name_connection(&self, key: Key, protocol: Option<&str>) -> String {
        let named = self.inspect(key, |connection| name(key, connection, protocol));
        named.unwrap_or_else(|| format!("connection {key:?} ({})", protocol.unwrap_or("which is gone")))
    }
}

/// What `protocol` says, or else the protocol in its slot.
fn name(key: Key, connection: &Connection, protocol: Option<&str>) -> String {
    let own = connection.protocol.as_ref().map(|protocol| protocol.type_name(Internal));
    let protocol = protocol.or(own).unwrap_or("its callback runs");
    let (local, peer) = (&connection.addresses.local, &connection.addresses.peer);
    format!("connection {key:?} ({protocol}), {local} with {peer}")
}

pub(super) fn connection(key: Key, connection: &Connection) -> String {
    let mut line = format!("{}: {}", name(key, connection, None), state(connection.flags));
    let shown = [
        (Flags::PAUSED, "reading paused"),
        (Flags::SUSPENDED, "reading suspended"),
        (Flags::TOLD_PAUSE, "writing paused"),
        (Flags::UNMADE, "another protocol takes over"),
        (Flags::RETRYING, "the system is short of memory"),
    ];
    for (flag, words) in shown {
        if connection.flags.any(flag) {
            line.push_str(", ");
            line.push_str(words);
        }
    }
    if connection.buffered() > 0 {
        line.push_str(&format!(", {} bytes to send", connection.buffered()));
    }
    if connection.unread_len() > 0 {
        line.push_str(&format!(", {} bytes given back", connection.unread_len()));
    }
    line
}

fn state(flags: Flags) -> &'static str {
    let (theirs, ours) = (flags.any(Flags::EOF), flags.any(Flags::EOF_ASKED));
    if flags.any(Flags::LOST) {
        "lost"
    } else if flags.any(Flags::LINGERING) {
        "closing, the peer still sends"
    } else if flags.any(Flags::CLOSING) {
        "closing"
    } else {
        match (theirs, ours) {
            (false, false) => "open",
            (true, false) => "the peer has ended its direction",
            (false, true) => "we have ended our direction",
            (true, true) => "both directions ended",
        }
    }
}

/// When something is due, seen from `now`.
pub(crate) fn moment(deadline: Instant, now: Instant) -> String {
    if deadline == Instant::FAR {
        "never".to_owned()
    } else if deadline >= now {
        format!("in {:?}", deadline - now)
    } else {
        format!("due for {:?}", now - deadline)
    }
}
