//! A transport that records.

use std::cell::RefCell;
use std::rc::Rc;

use super::memory::MemoryReactor;
use crate::backend::memory::Peer;
use crate::lost::Lost;
use crate::protocol::{OnEof, Protocol};
use crate::transport::Transport;

/// A real [`Transport`] without a loop around it, which records what is done with it.
///
/// ```
/// use marline_reactor::testing::Recorder;
/// use marline_reactor::{Protocol, Transport};
///
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         transport.write(data);
///     }
/// }
///
/// let recorder = Recorder::new();
/// Echo.data_received(recorder.transport(), b"hello");
/// assert_eq!(recorder.written(), b"hello");
/// recorder.transport().close();
/// assert!(recorder.is_finished());
/// ```
#[derive(Debug)]
pub struct Recorder {
    memory: MemoryReactor,
    peer: Peer,
    transport: Transport,
    lost: Rc<RefCell<Option<Lost>>>,
}

/// The connection's own protocol: the one under test is called by the test.
struct Silent {
    lost: Rc<RefCell<Option<Lost>>>,
}

impl Protocol for Silent {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        OnEof::KeepOpen
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        *self.lost.borrow_mut() = Some(lost.clone());
    }
}

impl Recorder {
    /// A transport that nothing was written to yet.
    ///
    /// # Panics
    ///
    /// Never: the memory network refuses no listener on an empty one.
    #[must_use]
    pub fn new() -> Self {
        let memory = MemoryReactor::new();
        memory.network().set_capacity(usize::MAX);
        let (made, lost) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(None)));
        let (seen, slot) = (Rc::clone(&made), Rc::clone(&lost));
        let listener = memory.network().listen(std::net::SocketAddr::from(([127, 0, 0, 1], 7)));
        let connected = memory.handle();
        connected.connect(
            "tcp://127.0.0.1:7",
            move |_| Silent { lost: slot },
            move |outcome| *seen.borrow_mut() = outcome.ok(),
        );
        memory.pump();
        let peer = listener.ok().and_then(|listener| listener.accept());
        let transport = made.borrow_mut().take();
        match (peer, transport) {
            (Some(peer), Some(transport)) => Self { memory, peer, transport, lost },
            _ => unreachable!("an empty memory network connects"),
        }
    }

    /// The transport, for the protocol under test.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What was written since the last call. Scheduled calls (`call_soon`, timers that are due) run first.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.memory.pump();
        self.peer.read()
    }

    /// Whether the transport was closed, or `write_eof` called, and everything was taken by [`written`](Self::written).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.memory.pump();
        self.peer.is_finished()
    }

    /// Whether the transport was aborted or failed.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.memory.pump();
        self.peer.is_reset()
    }

    /// How the connection ended, if it did.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.memory.pump();
        self.lost.borrow().clone()
    }

    /// The loop behind it: its clock can be [moved](MemoryReactor::advance), to run timers that the protocol set.
    #[must_use]
    pub fn memory(&self) -> &MemoryReactor {
        &self.memory
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
