//! What this crate keeps in a loop: one value, found through the reactor's loop-local storage.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use marline_reactor::{Handle, LoopId, PacketServer, Remote, Server};

use crate::mail::Reachable;
use crate::net::{DatagramSockets, Listeners, Streams};
use crate::process::Children;
use crate::signals::Waiting;
use crate::task::Executor;

thread_local! {
    /// What was found last on this thread. Streams look for it in every step, and tasks when they are started, nearly always
    /// for that of the same loop: to find the loop, and then this in it, would be half of what a step costs.
    static FOUND: RefCell<Option<(LoopId, Weak<Local>)>> = const { RefCell::new(None) };
}

pub(crate) struct Local {
    handle: Handle,
    pub(crate) executor: Rc<Executor>,
    pub(crate) streams: Streams,
    pub(crate) listeners: Listeners<Server>,
    pub(crate) packet_listeners: Listeners<PacketServer>,
    pub(crate) datagrams: DatagramSockets,
    pub(crate) waiting: Waiting,
    pub(crate) children: Children,
    /// Lets handles on other threads reach all of it.
    _reachable: Reachable,
}

impl Local {
    /// What belongs to this loop; `None` if it has ended.
    #[inline]
    pub(crate) fn of(handle: &Handle) -> Option<Rc<Self>> {
        Self::find_again(handle.loop_id()).or_else(|| Self::look_up(handle))
    }

    #[cold]
    fn look_up(handle: &Handle) -> Option<Rc<Self>> {
        let local = Self::find_or_make(handle)?;
        let found = Some((handle.loop_id(), Rc::downgrade(&local)));
        // At the end of a thread there may be no more place for it. What is replaced holds nothing but memory.
        _ = FOUND.try_with(|last| last.replace(found));
        Some(local)
    }

    fn find_or_make(handle: &Handle) -> Option<Rc<Self>> {
        handle.local(|handle| Self {
            handle: handle.clone(),
            executor: Executor::new(handle),
            streams: Streams::default(),
            listeners: Listeners::default(),
            packet_listeners: Listeners::default(),
            datagrams: DatagramSockets::default(),
            waiting: Waiting::default(),
            children: Children::default(),
            _reachable: Reachable::new(handle),
        })
    }

    /// What belongs to the loop of `remote`, on its own thread, as long as that is not over.
    #[inline]
    pub(crate) fn find(remote: &Remote) -> Option<Rc<Self>> {
        let known = Self::find_again(remote.loop_id()).filter(|local| !local.handle.is_over());
        known.or_else(|| Self::of(&remote.local()?))
    }

    /// What was found last, if it is of this loop.
    #[inline]
    fn find_again(id: LoopId) -> Option<Rc<Self>> {
        let found = FOUND.try_with(|found| match &*found.borrow() {
            Some((of, local)) if *of == id => local.upgrade(),
            _ => None,
        });
        found.ok()?
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
    }
}
