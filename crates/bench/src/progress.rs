//! How far the runner is, on a terminal; nothing at all where standard error is none.

use indicatif::{ProgressBar, ProgressStyle};

/// A line at the bottom of the terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of so many steps.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        // The template is a constant; were it wrong, the crate's own would do.
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>5} {wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// What is done now.
    pub fn now(&self, what: String) {
        self.0.set_message(what);
    }

    /// So many steps are done, or will never be.
    pub fn step(&self, steps: usize) {
        self.0.inc(steps as u64);
    }

    /// So many steps are done in all.
    pub fn reach(&self, steps: usize) {
        self.0.set_position(steps as u64);
    }

    /// Prints something meanwhile, without the line in between.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
