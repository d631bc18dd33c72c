//! Waits for events.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

/// After so long without any event the server is taken for stuck. It decides nothing else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there are events, and tells how long there were none. It fails when there are none for too long.
///
/// With `spin` it never sleeps: to wake a sleeper on another core is work for whoever sends to it, and on a virtual machine
/// more than the send itself. A server whose clients are elsewhere has no such work.
pub(super) fn wait(poll: &mut Poll, events: &mut Events, spin: bool) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut idle = Duration::ZERO;
    while idle < PATIENCE {
        match poll.poll(events, Some(if spin { Duration::ZERO } else { PATIENCE })) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) if !events.is_empty() => {
                return Ok(if spin { idle } else { begun.elapsed() });
            }
            _ => idle = begun.elapsed(),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))
}
