//! How handles on other threads reach what belongs to them in their loop.
//!
//! A handle that is dropped has to end something, and must not be refused: not even where the program
//! [limits](marline_reactor::Builder::post_limit) the calls that it posts. So these calls have a list of their own and a
//! signal, whose raise never fails. They are as many as there are handles, so the list is bounded by them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use marline_reactor::{Handle, LoopId, Remote, Signal};
use parking_lot::Mutex;

type Letter = Box<dyn FnOnce() + Send>;

/// The mailboxes of all loops that run tasks.
static MAILBOXES: Mutex<BTreeMap<LoopId, Arc<Mailbox>>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    signal: OnceLock<Signal>,
}

/// While it lives, its loop can be reached.
pub(crate) struct Reachable(LoopId);

impl Reachable {
    pub(crate) fn new(handle: &Handle) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let (read, reader) = (Arc::downgrade(&mailbox), handle.clone());
        let signal = handle.signal(move || {
            if let Some(mailbox) = read.upgrade() {
                let letters = std::mem::take(&mut *mailbox.letters.lock());
                // Each for itself, so that a panic in one is contained without the others.
                letters.into_iter().for_each(|letter| _ = reader.call_soon(letter));
            }
        });
        // It is empty, so this cannot fail.
        drop(mailbox.signal.set(signal));
        MAILBOXES.lock().insert(handle.loop_id(), mailbox);
        Self(handle.loop_id())
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        // What is left in it is dropped after the lock is released.
        let mailbox = MAILBOXES.lock().remove(&self.0);
        drop(mailbox);
    }
}

/// Calls `letter` on the thread of the loop: whether there is one. If the loop has ended the letter is dropped.
pub(crate) fn send(remote: &Remote, letter: impl FnOnce() + Send + 'static) -> bool {
    send_to(remote.loop_id(), letter)
}

/// As [`send`], to the loop with this number.
pub(crate) fn send_to(loop_id: LoopId, letter: impl FnOnce() + Send + 'static) -> bool {
    let mailbox = MAILBOXES.lock().get(&loop_id).cloned();
    let Some(mailbox) = mailbox else { return false };
    mailbox.letters.lock().push(Box::new(letter));
    if let Some(signal) = mailbox.signal.get() {
        signal.raise();
    }
    true
}
