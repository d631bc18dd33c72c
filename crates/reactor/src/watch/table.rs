//! What a loop keeps of its watches, and how the backend is told of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::Rc;

use super::error::{InterestError, WatchErrorKind};
use super::interest::{Interest, Ready};
use super::job::{Job, Parts, Watched};
use super::source::{Pollable, Source};
use super::{Removed, Watch, WatchError};
use crate::backend::{Close, Started, Watchable, token};
use crate::contain::contain;
use crate::key::Key;
use crate::reactor::{Shell, Slot};

/// What concerns all watches of a loop.
#[derive(Default)]
pub(crate) struct WatchTable {
    /// Which descriptors are watched, paused ones included.
    descriptors: RefCell<BTreeMap<RawFd, Key>>,
    /// How many do not keep the loop alive.
    unreferenced: Cell<usize>,
    /// The backend's door for mio's sources, once one came.
    registry: RefCell<Option<Rc<mio::Registry>>>,
}

impl WatchTable {
    pub(crate) fn unreferenced(&self) -> usize {
        self.unreferenced.get()
    }

    /// At the end of the loop.
    pub(crate) fn clear(&self) {
        self.registry.take();
        self.descriptors.take();
    }
}

/// What a loop keeps of one.
pub(crate) struct Watching {
    /// `None` while the callback runs, or the source is lent.
    job: Option<Box<dyn Job>>,
    kind: Kind,
    interest: Interest,
    paused: bool,
    /// The backend has to be asked again when the job comes back.
    changed: bool,
    /// What stood before it was changed while the job was away: it stands again if the change is refused.
    before: Option<Standing>,
    keeps_alive: bool,
    place: &'static Location<'static>,
}

/// What the program asked for, and whether it is paused.
type Standing = (Interest, bool);

/// How the backend knows of it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Descriptor(RawFd),
    Virtual,
    /// It registers itself; whether it has.
    Mio(bool),
}

impl Kind {
    pub(super) fn descriptor(self) -> Option<RawFd> {
        match self {
            Self::Descriptor(descriptor) => Some(descriptor),
            Self::Virtual | Self::Mio(_) => None,
        }
    }
}

impl Watching {
    pub(super) fn interest(&self) -> Interest {
        self.interest
    }

    /// Whether the backend has to be told: always, unless it looks for nothing and goes on so.
    pub(super) fn set_interest(&mut self, interest: Interest) -> bool {
        let was_empty = self.wanted().is_empty();
        self.interest = interest;
        !(was_empty && self.wanted().is_empty())
    }

    /// Whether the backend has to be told.
    pub(super) fn set_paused(&mut self, paused: bool) -> bool {
        let changes = self.paused != paused && !self.interest.is_empty();
        self.paused = paused;
        changes
    }

    /// What the backend is to look for.
    fn wanted(&self) -> Interest {
        if self.paused { Interest::EMPTY } else { self.interest }
    }

    fn standing(&self) -> Standing {
        (self.interest, self.paused)
    }

    fn restore(&mut self, before: Standing) {
        (self.interest, self.paused) = before;
    }

    /// After a refusal of what [`settle`](Self::settle) asked for: what stood before, if that is something else.
    pub(super) fn restore_changed(&mut self) -> Option<Interest> {
        let before = self.before.take()?;
        self.restore(before);
        Some(self.wanted())
    }

    /// The line of a dump.
    pub(crate) fn line(&self) -> String {
        let what = match self.kind {
            Kind::Descriptor(descriptor) => format!("descriptor {descriptor}"),
            Kind::Virtual => "a virtual source".to_owned(),
            Kind::Mio(_) => "a source of mio's".to_owned(),
        };
        let mut line = format!("{what} for {}", self.interest.names());
        for (is_so, words) in [
            (self.paused, ", paused"),
            (self.job.is_none(), ", lent or its callback runs"),
            (!self.keeps_alive, ", does not keep the loop running"),
        ] {
            line.push_str(if is_so { words } else { "" });
        }
        format!("{line}, watched at {}", self.place)
    }

    pub(super) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Takes the job out for an event, if it is wanted.
    pub(super) fn begin(&mut self, ready: Ready) -> Option<(Box<dyn Job>, Ready)> {
        let ready = ready.concerning(self.wanted());
        if ready.is_empty() {
            return None;
        }
        let job = self.job.take();
        // Nobody can be told while the source is lent: the backend is asked again when it comes back.
        self.changed |= job.is_none();
        job.map(|job| (job, ready))
    }

    /// What the backend has to be told when the job comes back: whoever was told and wants levels is asked again.
    pub(super) fn settle(&mut self, told: bool) -> Option<(Kind, Interest)> {
        let changed = std::mem::take(&mut self.changed);
        let wanted = self.wanted();
        let again = told && !wanted.is_edge() && !wanted.is_empty();
        (changed || again).then_some((self.kind, wanted))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    pub(super) fn put(&mut self, job: Box<dyn Job>) {
        self.before = None;
        self.job = Some(job);
    }

    pub(super) fn lend(&mut self) -> Option<Box<dyn Job>> {
        self.job.take()
    }
}

impl Shell {
    pub(crate) fn watch<S: Source, F: FnMut(&mut S, Ready) + 'static>(
        self: &Rc<Self>,
        source: S,
        interest: Interest,
        call: F,
        place: &'static Location<'static>,
    ) -> Result<Watch<S>, WatchError<S>> {
        let mut job = Box::new(Watched { source, call });
        let key = self.add_slot(Slot::Reserved);
        match self.begin_watch(key, &mut *job, interest) {
            Ok(kind) => {
                let (paused, changed, keeps_alive) = (false, false, true);
                let job = Some(job as Box<dyn Job>);
                let watching = Box::new(Watching {
                    job,
                    kind,
                    interest,
                    paused,
                    changed,
                    before: None,
                    keeps_alive,
                    place,
                });
                self.slot(key, |slot| *slot = Slot::Watch(watching));
                Ok(Watch::new(self, key))
            }
            Err(kind) => {
                self.remove_slot(key);
                let Watched { source, call } = *job;
                self.contained(move || drop(call));
                Err(WatchError::new(source, kind))
            }
        }
    }

    fn begin_watch(&self, key: Key, job: &mut dyn Job, interest: Interest) -> Result<Kind, WatchErrorKind> {
        if self.refuses_work() {
            return Err(WatchErrorKind::Over);
        }
        let kind = contain(|| match job.pollable() {
            Pollable::Descriptor(descriptor) => self.begin_descriptor(key, descriptor, interest),
            Pollable::Virtual(source) => {
                let begun = self.backend().watch(key, Watchable::Virtual(source), interest);
                begun.map(|()| Kind::Virtual).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => WatchErrorKind::Watched { descriptor: None },
                    _ => WatchErrorKind::from_io(error, None),
                })
            }
            Pollable::Mio(source) => {
                let begun = self.begin_mio(key, source, interest);
                begun.map_err(|error| WatchErrorKind::from_io(error, None))
            }
        });
        kind.map_err(WatchErrorKind::Panicked)?
    }

    fn begin_descriptor(
        &self,
        key: Key,
        descriptor: RawFd,
        interest: Interest,
    ) -> Result<Kind, WatchErrorKind> {
        let named = Some(descriptor);
        if self.watches.descriptors.borrow().contains_key(&descriptor) {
            return Err(WatchErrorKind::Watched { descriptor: named });
        }
        let begun = self.backend().watch(key, Watchable::Descriptor(descriptor), interest);
        begun.map_err(|error| WatchErrorKind::from_io(error, named))?;
        self.watches.descriptors.borrow_mut().insert(descriptor, key);
        Ok(Kind::Descriptor(descriptor))
    }

    /// Registering is code of the user's, so the backend only lends its registry.
    fn begin_mio(
        &self,
        key: Key,
        source: &mut dyn mio::event::Source,
        interest: Interest,
    ) -> io::Result<Kind> {
        let registry = self.registry()?;
        self.backend().watch(key, Watchable::Registered, interest)?;
        let begun = contain(|| {
            if interest.to_mio().is_none() {
                probe_mio(&registry, key, source)?;
            }
            change_mio(&registry, key, source, false, interest)
        });
        match begun {
            Ok(Ok(registered)) => Ok(Kind::Mio(registered)),
            failed => {
                // It answers at once, as nothing was registered.
                let _ = self.backend().close(key, Close::Orderly);
                failed.map_err(io::Error::other)?.map(Kind::Mio)
            }
        }
    }

    fn registry(&self) -> io::Result<Rc<mio::Registry>> {
        if let Some(registry) = &*self.watches.registry.borrow() {
            return Ok(Rc::clone(registry));
        }
        let registry = Rc::new(self.backend().registry()?);
        *self.watches.registry.borrow_mut() = Some(Rc::clone(&registry));
        Ok(registry)
    }

    /// Tells the backend of another interest, or asks it for the present state.
    pub(super) fn tell_backend(
        &self,
        key: Key,
        job: &mut dyn Job,
        kind: Kind,
        interest: Interest,
    ) -> io::Result<Kind> {
        let Kind::Mio(registered) = kind else {
            return self.backend().rewatch(key, interest).map(|()| kind);
        };
        let registry = self.registry()?;
        let told = contain(|| match job.pollable() {
            Pollable::Mio(source) => change_mio(&registry, key, source, registered, interest),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        });
        told.map_err(io::Error::other)?.map(Kind::Mio)
    }

    pub(crate) fn watching<R>(&self, key: Key, change: impl FnOnce(&mut Watching) -> R) -> Option<R> {
        self.slot(key, |slot| match slot {
            Slot::Watch(watching) => Some(change(watching)),
            _ => None,
        })?
    }

    pub(super) fn change_watch(
        self: &Rc<Self>,
        key: Key,
        change: impl FnOnce(&mut Watching) -> bool,
    ) -> Result<(), InterestError> {
        let lent = self.watching(key, |watching| {
            let before = watching.standing();
            if !change(watching) {
                return None;
            }
            let job = watching.job.take();
            if job.is_none() {
                watching.changed = true;
                watching.before.get_or_insert(before);
            }
            job.map(|job| (job, watching.kind, watching.wanted(), before))
        });
        match lent {
            None => Err(InterestError::gone()),
            // Nothing changed, or it is told when the job comes back.
            Some(None) => Ok(()),
            Some(Some((mut job, kind, interest, before))) => {
                if is_replaced(&mut *job, kind) {
                    self.end_replaced(key, job, kind);
                    return Err(InterestError::gone());
                }
                let told = self.tell_backend(key, &mut *job, kind, interest);
                if told.is_err() {
                    self.watching(key, |watching| watching.restore(before));
                }
                self.put_job(key, job, told.as_ref().ok().copied());
                told.map(|_| ()).map_err(InterestError::system)
            }
        }
    }

    pub(super) fn unreference_watch(&self, key: Key) {
        let was_counted = self.watching(key, |watching| std::mem::replace(&mut watching.keeps_alive, false));
        if was_counted == Some(true) {
            self.watches.unreferenced.set(self.watches.unreferenced.get() + 1);
            self.may_be_idle();
        }
    }

    // The end of a watch.

    /// Takes a watch out, and its source. Its callback is dropped at once.
    pub(super) fn remove_watch(&self, key: Key) -> Option<Removed> {
        let watching = self.slot(key, |slot| match slot {
            Slot::Watch(_) => match std::mem::replace(slot, Slot::Reserved) {
                Slot::Watch(watching) => Some(watching),
                _ => None,
            },
            _ => None,
        })??;
        let (removed, call) = self.take_apart(key, *watching);
        self.contained(move || drop(call));
        Some(removed)
    }

    /// Ends a watch whose slot holds it no more, on the side of the backend. Answers with what the user gave.
    fn take_apart(&self, key: Key, mut watching: Watching) -> (Removed, Option<Box<dyn std::any::Any>>) {
        let (descriptor, interest) = (watching.kind.descriptor(), watching.interest);
        if !watching.keeps_alive {
            self.watches.unreferenced.set(self.watches.unreferenced.get() - 1);
        }
        if let Some(descriptor) = descriptor {
            self.watches.descriptors.borrow_mut().remove(&descriptor);
        }
        let replaced = watching.job.as_mut().is_some_and(|job| is_replaced(&mut **job, watching.kind));
        let how = if replaced { Close::Forget } else { Close::Orderly };
        let started = self.backend().close(key, how);
        if let Started::Done(()) = started {
            self.remove_slot(key);
        }
        let parts = watching.job.map(|job| self.part(job));
        let (source, call) = parts.map_or((None, None), |parts| (Some(parts.source), Some(parts.call)));
        (Removed { descriptor, interest, source }, call)
    }

    /// Takes a job apart whose watch is over. Sources of mio's have to be there for that.
    pub(super) fn part(&self, mut job: Box<dyn Job>) -> Parts {
        let registry = self.watches.registry.borrow().clone();
        if let Some(registry) = registry {
            self.contained(|| {
                if let Pollable::Mio(source) = job.pollable() {
                    // An error would say that it is not registered, which is what we want.
                    let _ = source.deregister(&registry);
                }
            });
        }
        job.into_parts()
    }

    pub(crate) fn remove_all_watches(&self) -> Vec<Removed> {
        self.slot_keys().into_iter().filter_map(|key| self.remove_watch(key)).collect()
    }

    /// At a shutdown.
    pub(crate) fn drop_watches(&self) {
        for removed in self.remove_all_watches() {
            self.contained(move || drop(removed));
        }
    }

    /// At the end of the loop, when its slot is gone.
    pub(crate) fn end_watch(&self, key: Key, watching: Watching) {
        let (removed, call) = self.take_apart(key, watching);
        self.contained(move || drop(removed));
        self.contained(move || drop(call));
    }
}

/// Whether the source has another descriptor than the one that the backend knows of, whose number may be somebody else's by
/// now. One that panics when it is asked counts as another.
pub(super) fn is_replaced(job: &mut dyn Job, kind: Kind) -> bool {
    let Kind::Descriptor(known) = kind else { return false };
    let is_same =
        contain(|| matches!(job.pollable(), Pollable::Descriptor(descriptor) if descriptor == known));
    !is_same.unwrap_or(false)
}

/// Registers a source of mio's for a moment: an error says why it cannot be.
pub(crate) fn probe_mio(
    registry: &mio::Registry,
    key: Key,
    source: &mut dyn mio::event::Source,
) -> io::Result<()> {
    source.register(registry, token(key), mio::Interest::READABLE)?;
    source.deregister(registry)
}

/// Registers a source of mio's anew, as it wants to be registered from now on: whether it is.
pub(crate) fn change_mio(
    registry: &mio::Registry,
    key: Key,
    source: &mut dyn mio::event::Source,
    registered: bool,
    interest: Interest,
) -> io::Result<bool> {
    let token = token(key);
    match (registered, interest.to_mio()) {
        (false, None) => Ok(false),
        (false, Some(interest)) => source.register(registry, token, interest).map(|()| true),
        (true, Some(interest)) => source.reregister(registry, token, interest).map(|()| true),
        (true, None) => source.deregister(registry).map(|()| false),
    }
}
