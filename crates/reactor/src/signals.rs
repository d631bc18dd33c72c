//! The loop's side of [`Signal`](crate::Signal)s.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Weak;

use crate::contain::contain;
use crate::key::Key;
use crate::reactor::{Handle, Shell};
use crate::remote::{Signal, SignalShared};
use crate::slab::Slab;

/// The callbacks of the loop's signals.
pub(crate) struct SignalTable {
    table: Slab<Entry>,
}

struct Entry {
    /// `None` while it runs.
    call: Option<Box<dyn FnMut()>>,
    /// Where it was made.
    place: &'static Location<'static>,
    shared: Weak<SignalShared>,
}

impl Default for SignalTable {
    fn default() -> Self {
        Self { table: Slab::new() }
    }
}

impl SignalTable {
    /// A line for each.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.table.values().map(|entry| format!("made at {}", entry.place)).collect()
    }
}

impl Shell {
    #[track_caller]
    pub(crate) fn add_signal(self: &Rc<Self>, call: Box<dyn FnMut()>) -> Signal {
        let remote = Handle::new(Rc::clone(self)).remote();
        let mut signals = self.signals.borrow_mut();
        let key =
            signals.table.insert(Entry { call: Some(call), place: Location::caller(), shared: Weak::new() });
        let signal = Signal::new(&remote, key);
        if let Some(entry) = signals.table.get_mut(key) {
            entry.shared = signal.downgrade();
        }
        drop(signals);
        if self.is_ended() {
            // It will never run, and kept here it might keep the loop itself alive.
            self.forget_signal(key);
        }
        signal
    }

    pub(crate) fn run_signal(&self, key: Key) {
        let taken = self.signals.borrow_mut().table.get_mut(key).and_then(|entry| {
            // Lowered first: a raise from now on runs the callback again.
            entry.shared.upgrade().inspect(|shared| shared.lower());
            Some((entry.call.take()?, entry.place))
        });
        let Some((mut call, place)) = taken else { return };
        let ran = || contain(&mut call).map_err(|panic| self.report_panic(panic, place));
        _ = self.timed(ran, || format!("the signal made at {place}"));
        let mut signals = self.signals.borrow_mut();
        if let Some(entry) = signals.table.get_mut(key) {
            entry.call = Some(call);
            return;
        }
        drop(signals);
        self.contained(move || drop(call));
    }

    pub(crate) fn forget_signal(&self, key: Key) {
        let entry = self.signals.borrow_mut().table.remove(key);
        self.contained(move || drop(entry));
    }

    pub(crate) fn clear_signals(&self) {
        let table = std::mem::take(&mut *self.signals.borrow_mut());
        self.drop_each(table.table.into_values().map(|entry| entry.call));
    }
}
