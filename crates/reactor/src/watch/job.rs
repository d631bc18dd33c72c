//! A source and its callback, whatever their types are.

use std::any::Any;

use super::interest::Ready;
use super::source::{Pollable, Source};

/// What the loop keeps of the user's for a watch.
pub(super) trait Job {
    fn call(&mut self, ready: Ready);
    fn pollable(&mut self) -> Pollable<'_>;
    fn source(&mut self) -> &mut dyn Any;
    /// The source and the callback, each to be dropped by itself.
    fn into_parts(self: Box<Self>) -> Parts;
}

pub(super) struct Parts {
    pub(super) source: Box<dyn Any>,
    pub(super) call: Box<dyn Any>,
}

pub(super) struct Watched<S, F> {
    pub(super) source: S,
    pub(super) call: F,
}

impl<S: Source, F: FnMut(&mut S, Ready) + 'static> Job for Watched<S, F> {
    fn call(&mut self, ready: Ready) {
        (self.call)(&mut self.source, ready);
    }

    fn pollable(&mut self) -> Pollable<'_> {
        self.source.pollable()
    }

    fn source(&mut self) -> &mut dyn Any {
        &mut self.source
    }

    fn into_parts(self: Box<Self>) -> Parts {
        let Self { source, call } = *self;
        Parts { source: Box::new(source), call: Box::new(call) }
    }
}
