//! Bytes that were received and not given out yet.

use std::io;
use std::os::fd::OwnedFd;

use marline_reactor::backend::{Backend, Chunk, Received};
use marline_reactor::{ChoiceKind, Key};

use super::Adversary;

/// How many receives are joined at most.
const JOINED: usize = 3;

/// How often a connection is received from before its close at most.
const DISCARDED: usize = 64;

/// What a connection received.
#[derive(Default)]
pub struct Stream {
    bytes: Vec<u8>,
    /// Descriptors that came with some of them.
    descriptors: Vec<OwnedFd>,
    /// How reading ended, which is told after the bytes.
    end: Option<End>,
    /// The last answer was that there is nothing, though there may have been something.
    denied: bool,
}

enum End {
    Eof,
    Failed(io::Error),
}

impl Stream {
    pub fn has_something(&self) -> bool {
        !self.bytes.is_empty() || self.end.is_some()
    }

    pub fn is_denied(&self) -> bool {
        self.denied
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(count);
        std::mem::replace(&mut self.bytes, rest)
    }

    fn take_end(&mut self) -> Option<Received> {
        self.end.take().map(|end| match end {
            End::Eof => Received::Eof,
            End::Failed(error) => Received::Failed(error),
        })
    }
}

impl<B: Backend> Adversary<B> {
    pub(super) fn receive_some(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        let Some(stream) = self.streams.get(&key) else {
            return self.inner.receive(key, into);
        };
        let (kept, denied) = (!stream.bytes.is_empty(), stream.denied);
        let denies =
            !denied && (kept || self.inner.may_receive(key)) && self.happens(ChoiceKind::Postpone, 8);
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.denied = denies;
        }
        if denies {
            self.announce_later(key);
            return Received::Dry;
        }
        match into {
            Some(memory) if !kept && self.happens(ChoiceKind::ReceiveSize, 2) => {
                self.receive_directly(key, memory)
            }
            into => match self.fetch(key) {
                Some(received) => received,
                None => self.give(key, into),
            },
        }
    }

    /// Before an orderly close the loop drops what was not read, lest the end becomes a reset. What was denied to be there
    /// is dropped here.
    pub(super) fn discard(&mut self, key: Key) {
        for _ in 0..DISCARDED {
            let Received::Chunk(chunk) = self.inner.receive(key, None) else { return };
            self.inner.release(chunk);
        }
    }

    /// Leaves the memory to the backend below, or a part of it.
    fn receive_directly(&mut self, key: Key, memory: &mut [u8]) -> Received {
        if let Some(end) = self.streams.get_mut(&key).and_then(Stream::take_end) {
            return end;
        }
        let room = self.part(ChoiceKind::ReceiveSize, memory.len());
        match self.inner.receive(key, Some(&mut memory[..room])) {
            Received::Chunk(mut chunk) => {
                // It made memory of its own; only the promise about all chunks needs to know.
                let copy = Chunk::from(chunk.bytes().to_vec()).with_descriptors(chunk.take_descriptors());
                self.inner.release(chunk);
                self.promises.lend();
                Received::Chunk(copy)
            }
            other => other,
        }
    }

    /// Receives until there is something to give, and perhaps more than once: what to answer if there is not.
    fn fetch(&mut self, key: Key) -> Option<Received> {
        for round in 0..JOINED {
            let stream = self.streams.get_mut(&key)?;
            if stream.end.is_some() {
                return if stream.bytes.is_empty() { stream.take_end() } else { None };
            }
            let enough = !stream.bytes.is_empty();
            if enough && (round == 0 || self.choices.choose(ChoiceKind::ReceiveSize, 2) == 0) {
                return None;
            }
            let received = self.inner.receive(key, None);
            let stream = self.streams.get_mut(&key)?;
            match received {
                Received::Chunk(mut chunk) => {
                    stream.descriptors.extend(chunk.take_descriptors());
                    stream.bytes.extend_from_slice(chunk.bytes());
                    self.inner.release(chunk);
                }
                Received::Eof if enough => stream.end = Some(End::Eof),
                Received::Failed(error) if enough => stream.end = Some(End::Failed(error)),
                _ if enough => return None,
                nothing => return Some(nothing),
            }
        }
        None
    }

    /// Gives out a part of the bytes that are there, in memory of whose ever.
    fn give(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        let whole = self.streams.get(&key).map_or(0, |stream| stream.bytes.len());
        let count = self.part(ChoiceKind::ReceiveSize, whole);
        let Some(stream) = self.streams.get_mut(&key) else { return Received::Dry };
        match into {
            Some(memory)
                if stream.descriptors.is_empty() && self.choices.choose(ChoiceKind::ReceiveSize, 2) == 0 =>
            {
                let bytes = stream.take(count.min(memory.len()));
                memory[..bytes.len()].copy_from_slice(&bytes);
                Received::Filled(bytes.len())
            }
            _ => {
                self.promises.lend();
                let descriptors = std::mem::take(&mut stream.descriptors);
                Received::Chunk(Chunk::from(stream.take(count)).with_descriptors(descriptors))
            }
        }
    }
}
