//! What this crate keeps in a loop: one value, found through the reactor's loop-local storage.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::{Handle, PacketServer, Remote, Server};

use crate::mail::Reachable;
use crate::net::{DatagramSockets, Listeners, Streams};
use crate::process::Children;
use crate::signals::Waiting;
use crate::task::Executor;
use crate::time::{Sleepers, end_sleeps};

pub(crate) struct Local {
    pub(crate) executor: Rc<Executor>,
    pub(crate) streams: Streams,
    pub(crate) listeners: Listeners<Server>,
    pub(crate) packet_listeners: Listeners<PacketServer>,
    pub(crate) datagrams: DatagramSockets,
    pub(crate) waiting: Waiting,
    pub(crate) children: Children,
    pub(crate) sleepers: RefCell<Sleepers>,
    /// Lets handles on other threads reach all of it.
    _reachable: Reachable,
}

impl Local {
    /// What belongs to this loop; `None` if it has ended.
    pub(crate) fn of(handle: &Handle) -> Option<Rc<Self>> {
        handle.local(|handle| Self {
            executor: Executor::new(handle),
            streams: Streams::default(),
            listeners: Listeners::default(),
            packet_listeners: Listeners::default(),
            datagrams: DatagramSockets::default(),
            waiting: Waiting::default(),
            children: Children::default(),
            sleepers: RefCell::default(),
            _reachable: Reachable::new(handle),
        })
    }

    /// What belongs to the loop of `remote`, on its own thread.
    pub(crate) fn find(remote: &Remote) -> Option<Rc<Self>> {
        Self::of(&remote.local()?)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.executor.end();
        // Wakers are code of others, of which none may keep the others from being dropped.
        self.streams.end();
        self.listeners.end();
        self.packet_listeners.end();
        self.datagrams.end();
        self.waiting.end();
        self.children.end();
        end_sleeps(self.sleepers.take());
    }
}
