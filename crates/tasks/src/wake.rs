//! Waking whoever waits.
//!
//! To clone, to wake and to drop a waker is to call code of others, which may do anything, also with the very thing that
//! its owner waits for. So none of it happens while something of this crate's is borrowed or locked: [`attempt`] clones the
//! waker of who polls before, and drops the one that it replaces after, and those who wake take the wakers out first.

use std::task::{Context, Waker};

use marline_reactor::{Failure, Handle, Panic};

use crate::task::{contain, wake_task, wake_task_next};

/// Wakes somebody who waited for `what`. A waker is code of others: its panic is reported, to the loop that runs here if
/// there is one, and keeps nobody else from being woken. That of a task is nobody else's code.
#[inline]
pub(crate) fn wake(waker: Waker, what: &str) {
    if let Err(waker) = wake_task(waker) {
        wake_other(waker, what);
    }
}

/// The same, for somebody who takes the input of a connection.
#[inline]
pub(crate) fn wake_next(waker: Waker, what: &str) {
    if let Err(waker) = wake_task_next(waker) {
        wake_other(waker, what);
    }
}

#[inline(never)]
fn wake_other(waker: Waker, what: &str) {
    if let Err(panic) = contain(move || waker.wake()) {
        report(panic, what);
    }
}

/// Drops the waker of somebody who waits for `what` no more. Contained as [`wake`] is.
pub(crate) fn discard(waker: Option<Waker>, what: &str) {
    let Some(waker) = waker else { return };
    if let Err(panic) = contain(move || drop(waker)) {
        report(panic, what);
    }
}

#[cold]
fn report(panic: Panic, what: &str) {
    let who = format!("the waker of who waited for {what}");
    match Handle::current() {
        Ok(handle) => handle.report(&Failure::unobserved(Box::new(panic), who)),
        Err(_) => tracing::error!("{who} {panic}"),
    }
}

/// Does something that may have to keep the waker of who polls for `what`.
///
/// `step` borrows what it works on itself, and keeps the waker by means of the [`Visitor`]. If that has no clone at hand,
/// `step` lets go of everything, changes nothing, and answers `None`; then it is called again, and has to look anew, because
/// to clone the waker may have changed what it saw. It keeps the waker in one place at most.
pub(crate) fn attempt<R>(
    context: &Context<'_>,
    what: &str,
    mut step: impl FnMut(&mut Visitor<'_>) -> Option<R>,
) -> R {
    let mut visitor = Visitor { waker: context.waker(), clone: None, replaced: None, crowded_out: None };
    let result = loop {
        match step(&mut visitor) {
            Some(result) => break result,
            None => visitor.clone = Some(visitor.waker.clone()),
        }
    };
    let Visitor { clone, replaced, crowded_out, .. } = visitor;
    if let Some(waker) = crowded_out {
        wake(waker, what);
    }
    discard(replaced, what);
    discard(clone, what);
    result
}

/// Whoever polls, for code that holds something borrowed.
pub(crate) struct Visitor<'a> {
    waker: &'a Waker,
    clone: Option<Waker>,
    replaced: Option<Waker>,
    crowded_out: Option<Waker>,
}

impl Visitor<'_> {
    /// Whether this waker wakes them.
    pub(crate) fn is_woken_by(&self, known: &Waker) -> bool {
        known.will_wake(self.waker)
    }

    /// A waker of their own. `None` if it has to be cloned first.
    pub(crate) fn waker(&mut self) -> Option<Waker> {
        self.clone.take()
    }

    /// Sees to it that `place` wakes them. `None` if the waker has to be cloned first.
    pub(crate) fn keep_in(&mut self, place: &mut Option<Waker>) -> Option<()> {
        if !place.as_ref().is_some_and(|known| self.is_woken_by(known)) {
            self.replaced = place.replace(self.waker()?);
        }
        Some(())
    }

    /// A waker was put in the place of this one, which is dropped when nothing is borrowed.
    pub(crate) fn replace(&mut self, replaced: Option<Waker>) {
        self.replaced = replaced;
    }

    /// There is no room for this one any more. It is woken when nothing is borrowed, to try again.
    pub(crate) fn crowd_out(&mut self, waker: Waker) {
        self.crowded_out = Some(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn keep(place: &RefCell<Option<Waker>>, context: &Context<'_>, steps: &Cell<u32>) {
        attempt(context, "a test", |visitor| {
            steps.set(steps.get() + 1);
            visitor.keep_in(&mut place.borrow_mut())
        });
    }

    #[test]
    fn a_waker_is_cloned_once_and_not_again_while_it_is_known() {
        let (one, other) = (Arc::new(Nobody), Arc::new(Nobody));
        let (place, steps) = (RefCell::default(), Cell::new(0));
        let (first, second) = (Waker::from(Arc::clone(&one)), Waker::from(Arc::clone(&other)));
        keep(&place, &Context::from_waker(&first), &steps);
        assert_eq!((Arc::strong_count(&one), steps.replace(0)), (3, 2));
        keep(&place, &Context::from_waker(&first), &steps);
        assert_eq!((Arc::strong_count(&one), steps.replace(0)), (3, 1));
        keep(&place, &Context::from_waker(&second), &steps);
        assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other), steps.get()), (2, 3, 2));
    }
}
