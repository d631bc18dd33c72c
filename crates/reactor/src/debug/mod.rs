//! Finding what is wrong: debug mode, and a picture of the loop.
//!
//! * `mode`: how debug mode is asked for; `warning`: what it reports; `slow`: who held the loop for too long.
//! * `dump`: everything that a loop holds, as text for people; `lines`: the line of each thing in it.

mod dump;
mod lines;
mod mode;
mod slow;
mod warning;

use std::cell::{Cell, RefCell};
use std::time::Duration;

pub(crate) use lines::moment;
pub use mode::DebugMode;
pub use warning::Warning;

use crate::contain::contain;
use crate::reactor::{Handle, Shell};

/// What the loop keeps for debugging.
#[derive(Default)]
pub(crate) struct Debugging {
    /// The one thing that is looked at while debug mode is off.
    on: Cell<bool>,
    slow: Cell<Duration>,
    /// What the running callback is called in reports, if it said so.
    description: RefCell<Option<String>>,
    /// How long the slow calls took that were reported within the call that runs.
    blamed: Cell<Duration>,
    /// Who is told of warnings; `None` if nobody is, or while it runs.
    handler: RefCell<Option<Handler>>,
    /// What others add to a dump. A writer is absent while it runs.
    sections: RefCell<Vec<(String, Option<Writer>)>>,
}

type Handler = Box<dyn FnMut(&Warning)>;
type Writer = Box<dyn FnMut(&mut String)>;

impl Debugging {
    pub(crate) fn is_on(&self) -> bool {
        self.on.get()
    }

    pub(crate) fn new(mode: Option<DebugMode>) -> Self {
        let debugging = Self::default();
        debugging.set(mode);
        debugging
    }

    fn set(&self, mode: Option<DebugMode>) {
        self.on.set(mode.is_some());
        self.slow.set(mode.unwrap_or_default().slow_limit());
    }

    fn mode(&self) -> Option<DebugMode> {
        self.on.get().then(|| DebugMode::new().slow(self.slow.get()))
    }
}

/// Debugging: see [`DebugMode`].
impl Handle {
    /// Turns debug mode on, or off.
    pub fn set_debug(&self, mode: Option<DebugMode>) {
        self.shell().debug.set(mode);
        self.shell().remote_shared().set_debugging(mode.is_some());
    }

    /// How debug mode is set; `None` if it is off.
    #[must_use]
    pub fn debug(&self) -> Option<DebugMode> {
        self.shell().debug.mode()
    }

    /// Whether debug mode is on: one load.
    #[must_use]
    pub fn is_debugging(&self) -> bool {
        self.shell().debug.on.get()
    }

    /// Tells `handler` of the [warnings](Warning) of debug mode. Without one they are reported through `tracing`, as
    /// warnings. It replaces the handler that was set before, and is called from the loop, or from within
    /// [`warn`](Self::warn).
    pub fn on_warning(&self, handler: impl FnMut(&Warning) + 'static) {
        let shell = self.shell();
        let handler: Handler = Box::new(handler);
        if shell.is_ended() {
            // Kept there, it might keep the loop itself alive.
            shell.contained(move || drop(handler));
            return;
        }
        let old = shell.debug.handler.borrow_mut().replace(handler);
        shell.contained(move || drop(old));
    }

    /// Reports a warning to whoever is [told of them](Self::on_warning), if debug mode is on.
    pub fn warn(&self, warning: &Warning) {
        if self.is_debugging() {
            self.shell().warn(warning);
        }
    }

    /// Says what the running callback is, for the report that it was slow: `describe` is called in debug mode only. An
    /// executor tells so which task it polls, where the loop knows no more than that the executor scheduled something.
    #[inline]
    pub fn describe_callback(&self, describe: impl FnOnce() -> String) {
        if self.is_debugging() {
            self.keep_description(describe());
        }
    }

    #[cold]
    fn keep_description(&self, description: String) {
        let old = self.shell().debug.description.replace(Some(description));
        drop(old);
    }

    /// What the loop holds, as text for people: its connections, listeners, watched sources, attempts to connect, timers, signals, and what
    /// other crates [add](Self::on_dump), such as tasks. The order is stable, the wording is not: it is no format to parse.
    ///
    /// It looks at everything the loop holds, so it takes time in proportion. From another thread it can be had with
    /// [`Remote::post`](crate::Remote::post):
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use marline_reactor::Reactor;
    /// use std::sync::mpsc::channel;
    ///
    /// let reactor = Reactor::new()?;
    /// let remote = reactor.handle().remote();
    /// let (sender, dumps) = channel();
    /// std::thread::spawn(move || {
    ///     let here = remote.clone();
    ///     // Refused only if the loop has ended.
    ///     _ = remote.post(move || _ = sender.send(here.local().map(|handle| handle.dump())));
    /// });
    /// # while !reactor.has_ready() {}
    /// reactor.run()?;
    /// let dump = dumps.recv()?.unwrap();
    /// assert!(dump.contains("no connections"), "{dump}");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn dump(&self) -> String {
        self.shell().dump()
    }

    /// Adds a section to every [dump](Self::dump): `write` appends its lines to the text, indented by the loop. It replaces
    /// the section of the same title; sections come in the order in which they were added.
    pub fn on_dump(&self, title: impl Into<String>, write: impl FnMut(&mut String) + 'static) {
        self.shell().add_section(title.into(), Box::new(write));
    }
}

impl Shell {
    /// Tells whoever is told of warnings. The caller knows that debug mode is on.
    pub(crate) fn warn(&self, warning: &Warning) {
        let handler = self.debug.handler.borrow_mut().take();
        let Some(mut handler) = handler else {
            tracing::warn!("{warning}");
            return;
        };
        self.contained(|| handler(warning));
        let mut place = self.debug.handler.borrow_mut();
        if place.is_none() && !self.is_ended() {
            *place = Some(handler);
        } else {
            drop(place);
            self.contained(move || drop(handler));
        }
    }

    /// A connection is given up by whoever should have closed it.
    pub(crate) fn was_unclosed(&self, name: impl Fn() -> String) {
        const WHAT: &str = "it was still open when its loop ended";
        if self.debug.on.get() {
            self.warn(&Warning::unclosed(format!("{}: {WHAT}", name())));
        } else {
            // Nothing is put into words unless somebody listens to this level.
            tracing::debug!("{}: {WHAT}", name());
        }
    }

    /// Takes out what is the user's. The caller drops it.
    pub(crate) fn clear_debugging(&self) -> Vec<impl Sized + use<>> {
        let handler = self.debug.handler.take().map(|handler| Box::new(handler) as Box<dyn std::any::Any>);
        let sections = self.debug.sections.take().into_iter().filter_map(|(_, write)| write);
        let sections = sections.map(|write| Box::new(write) as Box<dyn std::any::Any>);
        handler.into_iter().chain(sections).collect()
    }

    fn add_section(&self, title: String, write: Writer) {
        if self.is_ended() {
            self.contained(move || drop(write));
            return;
        }
        let mut sections = self.debug.sections.borrow_mut();
        let old = match sections.iter_mut().find(|(other, _)| *other == title) {
            Some((_, place)) => place.replace(write),
            None => {
                sections.push((title, Some(write)));
                None
            }
        };
        drop(sections);
        self.contained(move || drop(old));
    }

    /// What others add, each with its title.
    fn written_sections(&self) -> Vec<(String, String)> {
        let titles: Vec<_> = self.debug.sections.borrow().iter().map(|(title, _)| title.clone()).collect();
        titles.into_iter().map(|title| (title.clone(), self.written(&title))).collect()
    }

    fn written(&self, title: &str) -> String {
        let find = |change: &mut dyn FnMut(&mut Option<Writer>)| {
            let mut sections = self.debug.sections.borrow_mut();
            if let Some((_, place)) = sections.iter_mut().find(|(other, _)| other == title) {
                change(place);
            }
        };
        let mut taken = None;
        find(&mut |place| taken = place.take());
        let Some(mut write) = taken else { return "(it is just being written)".to_owned() };
        let mut text = String::new();
        if let Err(panic) = contain(|| write(&mut text)) {
            text = format!("(its writer {panic})");
        }
        let mut left = Some(write);
        find(&mut |place| {
            if place.is_none() {
                *place = left.take();
            }
        });
        self.contained(move || drop(left));
        text
    }
}
