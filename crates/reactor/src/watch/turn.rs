//! How an event reaches its callback, and what follows.

use std::any::Any;
use std::error::Error;
use std::panic::Location;
use std::rc::Rc;

use super::error::{Named, WatchErrorKind};
use super::interest::Ready;
use super::job::Job;
use super::table::{Kind, Watching, is_replaced};
use crate::contain::contain;
use crate::key::Key;
use crate::reactor::{Failure, Shell};
use crate::ready::{Callback, Entry};

impl Shell {
    /// Phase 2: tells a source's callback what it is ready for.
    pub(crate) fn tell_watch(self: &Rc<Self>, key: Key, ready: Ready) {
        let begun = self.watching(key, |watching| {
            let (job, ready) = watching.begin(ready)?;
            Some((job, ready, watching.place()))
        });
        let Some((mut job, ready, place)) = begun.flatten() else { return };
        match contain(|| job.call(ready)) {
            Ok(()) => self.take_back(key, job, true),
            Err(panic) => {
                self.report_panic(panic, place);
                self.finish(key, job);
            }
        }
    }

    /// Lends the source out.
    pub(super) fn lend_watched<R>(
        self: &Rc<Self>,
        key: Key,
        call: impl FnOnce(&mut dyn Any) -> R,
    ) -> Option<R> {
        let job = self.watching(key, |watching| watching.lend()).flatten()?;
        let mut lent = Lent { shell: self, key, job: Some(job) };
        lent.job.as_mut().map(|job| call(job.source()))
    }

    /// The job comes back: what changed meanwhile is done now, and whoever was told of a level is asked again.
    fn take_back(self: &Rc<Self>, key: Key, mut job: Box<dyn Job>, told: bool) {
        let known = self.watching(key, |watching| watching.kind());
        if let Some(kind) = known.filter(|kind| is_replaced(&mut *job, *kind)) {
            return self.end_replaced(key, job, kind);
        }
        let due = self.watching(key, |watching| watching.settle(told)).flatten();
        let Some((kind, interest)) = due else {
            return self.put_job(key, job, None);
        };
        match self.tell_backend(key, &mut *job, kind, interest) {
            Ok(kind) => self.put_job(key, job, Some(kind)),
            Err(error) => {
                self.report_refusal(Box::new(error), kind);
                self.go_back(key, job, kind);
            }
        }
    }

    /// After a refusal: the watch goes on with the interest it had before, unless that is refused too.
    fn go_back(&self, key: Key, mut job: Box<dyn Job>, kind: Kind) {
        let before = self.watching(key, Watching::restore_changed).flatten();
        let told = before.and_then(|interest| self.tell_backend(key, &mut *job, kind, interest).ok());
        match told {
            Some(kind) => self.put_job(key, job, Some(kind)),
            None => self.finish(key, job),
        }
    }

    /// Ends a watch whose source has another descriptor now, and reports it.
    pub(super) fn end_replaced(self: &Rc<Self>, key: Key, job: Box<dyn Job>, kind: Kind) {
        let error = WatchErrorKind::Replaced { descriptor: kind.descriptor() };
        self.report_refusal(Box::new(error), kind);
        self.finish(key, job);
    }

    /// Puts the job where it was, unless the watch was removed meanwhile.
    pub(super) fn put_job(&self, key: Key, job: Box<dyn Job>, kind: Option<Kind>) {
        let mut job = Some(job);
        self.watching(key, |watching| {
            if let Some(kind) = kind {
                watching.set_kind(kind);
            }
            if let Some(job) = job.take() {
                watching.put(job);
            }
        });
        if let Some(job) = job {
            self.drop_job(job);
        }
    }

    /// Ends a watch whose job is at hand.
    fn finish(&self, key: Key, job: Box<dyn Job>) {
        self.put_job(key, job, None);
        let removed = self.remove_watch(key);
        self.contained(move || drop(removed));
    }

    fn drop_job(&self, job: Box<dyn Job>) {
        let parts = self.part(job);
        self.contained(move || drop(parts.source));
        self.contained(move || drop(parts.call));
    }

    /// Lets the loop report it: this may be the stack of a call of the user's.
    #[track_caller]
    fn report_refusal(self: &Rc<Self>, error: Box<dyn Error + Send + Sync>, kind: Kind) {
        let what = format!("watching {}", Named(kind.descriptor()));
        let (failure, weak) = (Failure::unobserved(error, what), self.weak());
        let report = move || {
            if let Some(shell) = weak.upgrade() {
                shell.report(&failure);
            }
        };
        self.push(Entry::Call(Callback::new(report, Location::caller())));
    }
}

/// A job that is lent to code of the user's, which may panic.
struct Lent<'a> {
    shell: &'a Rc<Shell>,
    key: Key,
    job: Option<Box<dyn Job>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.shell.take_back(self.key, job, false);
        }
    }
}
