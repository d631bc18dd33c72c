//! Waking whoever waits.

use std::task::Waker;

use marline_reactor::{Failure, Handle};

use crate::task::contain;

/// Wakes somebody who waited for `what`. A waker is code of others: its panic is reported, to the loop that runs here if
/// there is one, and keeps nobody else from being woken.
pub(crate) fn wake(waker: Waker, what: &str) {
    let Err(panic) = contain(move || waker.wake()) else { return };
    let who = format!("the waker of who waited for {what}");
    match Handle::current() {
        Ok(handle) => handle.report(&Failure::unobserved(Box::new(panic), who)),
        Err(_) => tracing::error!("{who} {panic}"),
    }
}
