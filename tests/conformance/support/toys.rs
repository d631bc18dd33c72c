//! Filters to test the loop with: small enough to know by heart, and bent to what a test wants by its hooks.

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;

use marline_reactor::filter::{Filter, FilterError, Flow, Output};

/// Which methods of filters were called, in order. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    names: Rc<RefCell<Vec<&'static str>>>,
}

impl Calls {
    pub fn push(&self, name: &'static str) {
        self.names.borrow_mut().push(name);
    }

    pub fn all(&self) -> Vec<&'static str> {
        self.names.borrow().clone()
    }

    pub fn count(&self, name: &str) -> usize {
        self.names.borrow().iter().filter(|known| **known == name).count()
    }
}

type Hook = Box<dyn FnMut(&'static str, &mut Flow<'_>) -> Result<(), FilterError>>;

/// What a [`Toy`] says to the peer in each round of its handshake, and what it expects.
pub const ASK: u8 = b'?';
pub const ANSWER: u8 = b'!';
/// What one that takes its leave says, and expects.
pub const LEAVE: u8 = b'.';

/// A filter that hides bytes by turning some of their bits, after a handshake of some rounds.
pub struct Toy {
    key: u8,
    rounds: usize,
    takes_leave: bool,
    leaving: bool,
    calls: Calls,
    hook: Hook,
}

impl Toy {
    /// Without a handshake.
    pub fn new(key: u8) -> Self {
        let (calls, hook) = (Calls::default(), Box::new(|_: &'static str, _: &mut Flow<'_>| Ok(())));
        Self { key, rounds: 0, takes_leave: false, leaving: false, calls, hook }
    }

    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// It takes its leave of the peer when the connection closes, and waits for the answer.
    pub fn takes_leave(mut self) -> Self {
        self.takes_leave = true;
        self
    }

    pub fn noting(mut self, calls: &Calls) -> Self {
        self.calls = calls.clone();
        self
    }

    /// Calls `hook` at the beginning of each method, with its name.
    pub fn with(
        mut self,
        hook: impl FnMut(&'static str, &mut Flow<'_>) -> Result<(), FilterError> + 'static,
    ) -> Self {
        self.hook = Box::new(hook);
        self
    }

    fn called(&mut self, name: &'static str, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.calls.push(name);
        (self.hook)(name, flow)
    }

    fn shake(&mut self, flow: &mut Flow<'_>, input: &[u8]) -> Result<usize, FilterError> {
        let mut used = 0;
        while self.rounds > 0 && used < input.len() {
            if input[used] != ANSWER {
                flow.send(b"bad");
                return Err(FilterError::new("no answer of the handshake's"));
            }
            used += 1;
            self.rounds -= 1;
            if self.rounds == 0 {
                flow.established();
            } else {
                flow.send(&[ASK]);
            }
        }
        Ok(used)
    }
}

/// What a [`Toy`] makes of bytes, in both directions.
pub fn turned(key: u8, bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ key).collect()
}

impl Filter for Toy {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.called("start", flow)?;
        if self.rounds == 0 {
            flow.established();
        } else {
            flow.send(&[ASK]);
        }
        Ok(())
    }

    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        self.called("inbound", flow)?;
        if self.leaving {
            if input.contains(&LEAVE) {
                flow.closed();
            }
            return Ok(input.len());
        }
        let used = self.shake(flow, input)?;
        let count = output.push(&input[used..]);
        let key = self.key;
        output.bytes_mut().iter_mut().rev().take(count).for_each(|byte| *byte ^= key);
        Ok(used + count)
    }

    fn inbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.called("inbound_end", flow)?;
        flow.end();
        Ok(())
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        self.called("outbound", flow)?;
        assert!(self.rounds == 0, "bytes before the handshake was done");
        input.iter().for_each(|part| flow.send(&turned(self.key, part)));
        Ok(input.iter().map(|part| part.len()).sum())
    }

    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.called("outbound_end", flow)?;
        flow.shut();
        Ok(())
    }

    fn close(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.called("close", flow)?;
        self.leaving = self.takes_leave;
        if self.takes_leave {
            flow.send(&[LEAVE]);
        } else {
            flow.closed();
        }
        Ok(())
    }

    fn deadline(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.called("deadline", flow)
    }
}

/// Makes so many bytes of each that comes, in both directions: from the backend, and from the protocol.
pub struct Many {
    times: usize,
    /// How often the byte that comes first was put out already.
    done: usize,
    calls: Calls,
}

impl Many {
    pub fn new(times: usize, calls: &Calls) -> Self {
        Self { times, done: 0, calls: calls.clone() }
    }
}

impl Filter for Many {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        self.calls.push("inbound");
        for (used, byte) in input.iter().enumerate() {
            while self.done < self.times {
                if output.push(&[*byte]) == 0 {
                    return Ok(used);
                }
                self.done += 1;
            }
            self.done = 0;
        }
        Ok(input.len())
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        self.calls.push("outbound");
        let bytes = input.iter().flat_map(|part| part.iter());
        let many: Vec<u8> = bytes.flat_map(|byte| std::iter::repeat_n(*byte, self.times)).collect();
        flow.send(&many);
        Ok(many.len() / self.times)
    }
}

/// Takes whole blocks of so many bytes, in both directions, and leaves the rest where it is.
pub struct Blocks {
    size: usize,
    /// The rest of a block that there was no room for.
    ready: Vec<u8>,
}

impl Blocks {
    pub fn new(size: usize) -> Self {
        Self { size, ready: Vec::new() }
    }
}

impl Filter for Blocks {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        let count = output.push(&self.ready);
        self.ready.drain(..count);
        let mut used = 0;
        while self.ready.is_empty() && input.len() - used >= self.size {
            let block = &input[used..used + self.size];
            let count = output.push(block);
            self.ready.extend_from_slice(&block[count..]);
            used += self.size;
        }
        Ok(used)
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        let bytes: Vec<u8> = input.iter().flat_map(|part| part.iter().copied()).collect();
        let whole = bytes.len() - bytes.len() % self.size;
        flow.send(&bytes[..whole]);
        Ok(whole)
    }
}

/// Wants a header of so many bytes, and has nothing to do after that.
pub struct Header(pub usize);

impl Filter for Header {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.send(b"header:");
        Ok(())
    }

    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        _: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        let used = self.0.min(input.len());
        self.0 -= used;
        if self.0 == 0 {
            flow.finish();
        }
        Ok(used)
    }

    fn outbound(&mut self, _: &mut Flow<'_>, _: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        Err(FilterError::new("bytes for a filter that only has a header"))
    }
}

/// Lets so many bytes of the peer's through, or all that there are, and steps aside.
pub struct Until(pub usize);

impl Filter for Until {
    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        let count = output.push(&input[..self.0.min(input.len())]);
        self.0 -= count;
        if self.0 == 0 {
            flow.finish();
        }
        Ok(count)
    }

    fn inbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.finish();
        Ok(())
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        input.iter().for_each(|part| flow.send(part));
        Ok(input.iter().map(|part| part.len()).sum())
    }
}
