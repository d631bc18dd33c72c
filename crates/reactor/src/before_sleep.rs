//! Hooks that run before the loop sleeps.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::panic::Location;
use std::rc::Rc;

use crate::reactor::Shell;

/// The hooks of a loop, in the order in which they were added.
#[derive(Default)]
pub(crate) struct SleepHooks {
    hooks: RefCell<Hooks>,
}

#[derive(Default)]
struct Hooks {
    /// `None` in place of the one that runs.
    calls: BTreeMap<u64, Option<Hook>>,
    made: u64,
}

struct Hook {
    call: Box<dyn FnMut()>,
    /// Where it was added.
    place: &'static Location<'static>,
}

impl SleepHooks {
    fn add(&self, hook: Hook) -> u64 {
        let mut hooks = self.hooks.borrow_mut();
        hooks.made += 1;
        let number = hooks.made;
        hooks.calls.insert(number, Some(hook));
        number
    }

    /// Takes out the first hook after `number` that was added before the run began.
    fn take_after(&self, number: u64, last: u64) -> Option<(u64, Hook)> {
        let mut hooks = self.hooks.borrow_mut();
        let mut later = hooks.calls.range_mut((Bound::Excluded(number), Bound::Included(last)));
        later.find_map(|(number, hook)| hook.take().map(|hook| (*number, hook)))
    }

    /// Puts a hook back, or answers with it if it was removed meanwhile.
    fn put_back(&self, number: u64, hook: Hook) -> Option<Hook> {
        match self.hooks.borrow_mut().calls.get_mut(&number) {
            Some(away) => away.replace(hook),
            None => Some(hook),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.hooks.borrow().calls.len()
    }

    /// Takes all of them out.
    pub(crate) fn clear(&self) -> Vec<impl Sized + use<>> {
        std::mem::take(&mut self.hooks.borrow_mut().calls).into_values().collect()
    }
}

impl Shell {
    #[track_caller]
    pub(crate) fn add_sleep_hook(self: &Rc<Self>, call: Box<dyn FnMut()>) -> BeforeSleep {
        let place = Location::caller();
        if self.is_ended() {
            // Kept here, it might keep the loop itself alive.
            self.contained(move || drop(call));
            return BeforeSleep { shell: Rc::clone(self), number: 0 };
        }
        let number = self.sleep_hooks.add(Hook { call, place });
        // A host that sleeps already has to make a turn, or it would sleep without the hook having run.
        self.changed();
        BeforeSleep { shell: Rc::clone(self), number }
    }

    /// To be called where the loop, or its host, is about to sleep: if nothing is ready, the hooks run. Whether something
    /// is ready now, or nothing is left to wait for.
    pub(crate) fn prepare_to_sleep(&self) -> bool {
        // Without hooks nothing can have changed, and the wait finds by itself what is due.
        if self.is_over() || self.sleep_hooks.hooks.borrow().calls.is_empty() {
            return false;
        }
        if self.is_due() {
            return true;
        }
        let (last, was_idle) = (self.sleep_hooks.hooks.borrow().made, self.is_idle());
        let mut number = 0;
        while let Some((next, mut hook)) = self.sleep_hooks.take_after(number, last) {
            number = next;
            let Hook { call, place } = &mut hook;
            let ran = || self.contained_at(place, call);
            self.timed(ran, || format!("the hook before sleep added at {place}"));
            let removed = self.sleep_hooks.put_back(number, hook);
            self.contained(move || drop(removed));
        }
        // A hook may have removed the last thing that could end the sleep.
        self.is_due() || (!was_idle && self.is_idle())
    }

    /// Whether something can be done without waiting, timers that have come due included.
    fn is_due(&self) -> bool {
        self.has_work() || self.timers.next_deadline().is_some_and(|deadline| deadline <= self.now())
    }
}

/// A hook that was set with [`Handle::before_sleep`](crate::Handle::before_sleep). Dropping it changes nothing.
#[derive(Clone)]
pub struct BeforeSleep {
    shell: Rc<Shell>,
    number: u64,
}

impl BeforeSleep {
    /// Runs the hook no more: whether it was there. What the closure holds is dropped at once; if it runs just now,
    /// when it returns.
    #[allow(clippy::must_use_candidate)]
    pub fn remove(&self) -> bool {
        let removed = self.shell.sleep_hooks.hooks.borrow_mut().calls.remove(&self.number);
        let was_there = removed.is_some();
        self.shell.contained(move || drop(removed));
        was_there
    }
}

impl fmt::Debug for BeforeSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BeforeSleep({})", self.number)
    }
}
