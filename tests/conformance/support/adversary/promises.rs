//! What the loop may ask for: the other half of the contract.

use std::collections::BTreeSet;

use marline_reactor::Key;
use marline_reactor::backend::{Completion, Outgoing};

/// What is under way, as far as the loop has been told.
#[derive(Default)]
pub struct Promises {
    sends: BTreeSet<Key>,
    shutdowns: BTreeSet<Key>,
    connects: BTreeSet<Key>,
    /// Closes that were asked for and not answered.
    closing: BTreeSet<Key>,
    chunks: usize,
}

impl Promises {
    pub fn send(&mut self, key: Key, outgoing: &Outgoing) {
        self.stands(key);
        assert!(!outgoing.is_empty(), "{key:?} sends nothing");
        let file = outgoing.file().map(|range| (range.len(), 1));
        assert!(file.is_none_or(|alone| alone == (outgoing.len(), outgoing.segments())), "more than a file");
        assert!(self.sends.insert(key), "a second send of {key:?}");
        assert!(!self.shutdowns.contains(&key), "{key:?} sends after its end");
    }

    pub fn sent(&mut self, key: Key) {
        self.sends.remove(&key);
    }

    pub fn shutdown(&mut self, key: Key) {
        self.stands(key);
        assert!(!self.sends.contains(&key), "{key:?} ends before its bytes are sent");
        // It is asked for once, answered or not.
        assert!(self.shutdowns.insert(key), "a second end of {key:?}");
    }

    pub fn connect(&mut self, key: Key) {
        self.stands(key);
        assert!(self.connects.insert(key), "a second attempt of {key:?}");
    }

    pub fn connected(&mut self, key: Key) {
        self.connects.remove(&key);
    }

    pub fn close(&mut self, key: Key) {
        assert!(self.closing.insert(key), "a second close of {key:?}");
    }

    pub fn is_closing(&self, key: Key) -> bool {
        self.closing.contains(&key)
    }

    /// Nothing is heard of `key` any more, and its index is free.
    pub fn closed(&mut self, key: Key) {
        for keys in [&mut self.sends, &mut self.shutdowns, &mut self.connects, &mut self.closing] {
            keys.remove(&key);
        }
    }

    /// Operations are started on what stands, and an index is used again only once the close of its key was answered.
    pub fn stands(&self, key: Key) {
        let dead = self.closing.iter().find(|closing| closing.index() == key.index());
        assert_eq!(dead, None, "{key:?} is used after its close");
    }

    /// Looks whether what is about to be told keeps the adversary's own promises.
    pub fn tell(&mut self, completion: &Completion) {
        match completion {
            Completion::Sent(key, _) => assert!(self.sends.remove(key), "{key:?} did not send"),
            Completion::Connected(key, _) => assert!(self.connects.remove(key), "{key:?} did not connect"),
            Completion::Closed(key) => {
                assert!(self.closing.contains(key), "{key:?} was not closed");
                assert!(!self.sends.contains(key), "{key:?} has a send that was not answered");
                assert!(!self.connects.contains(key), "{key:?} has an attempt that was not answered");
                self.closed(*key);
            }
            _ => {}
        }
    }

    pub fn lend(&mut self) {
        self.chunks += 1;
    }

    pub fn release(&mut self) {
        self.chunks -= 1;
    }
}

impl Drop for Promises {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.chunks, 0, "chunks that were not given back");
        }
    }
}
