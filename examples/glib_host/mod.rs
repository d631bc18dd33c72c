//! GLib's main loop as the host of ours: all that a program with windows needs, GTK's included.
//!
//! GLib knows our loop by one descriptor. It is readable when a turn has something to do, deadlines included.

use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use glib::{ControlFlow, IOCondition, MainContext, Priority, Source};
use marline::{Reactor, Result, Turned};

/// A loop that GLib drives, until this is dropped.
pub(crate) struct Driven {
    source: Source,
}

impl Drop for Driven {
    fn drop(&mut self) {
        // The source owns a share of the loop, whose descriptor may not be closed while GLib watches it.
        self.source.destroy();
    }
}

/// Has GLib's default context make the turns of `reactor`. At the loop's end GLib watches it no longer, and `ended` is
/// called.
pub(crate) fn drive(reactor: &Rc<Reactor>, ended: impl Fn() + 'static) -> Result<Driven> {
    let descriptor = reactor.pollable_fd()?.ok_or("this backend has no descriptor")?.as_raw_fd();
    let guest = Rc::clone(reactor);
    // After input and drawing. At the default priority, above drawing, a busy loop would freeze the window.
    let priority = Priority::DEFAULT_IDLE;
    let id = glib::unix_fd_add_local_full(descriptor, priority, IOCondition::IN, move |_, _| {
        match guest.turn(Some(Duration::ZERO)) {
            Ok(Turned::GoesOn) => return ControlFlow::Continue,
            Ok(end) => println!("the loop has ended: {end:?}"),
            Err(error) => eprintln!("{error}"),
        }
        ended();
        ControlFlow::Break
    });
    let source = MainContext::default().find_source_by_id(&id).ok_or("GLib lost a source")?;
    Ok(Driven { source })
}
