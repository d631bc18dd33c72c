//! Programs whose loop is a guest of a foreign one: they answer, and make no turn without a reason.

#[cfg(feature = "glib")]
#[path = "../../examples/glib_host/mod.rs"]
mod glib_host;

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Command, Stdio};

use super::{Client, Program};

/// The program, what it says, and somebody who talks to it.
pub(crate) struct Guest {
    program: Program,
    says: BufReader<ChildStdout>,
    pub(crate) client: Client,
}

impl Guest {
    #[cfg(any(feature = "glib", feature = "tokio"))]
    fn start(name: &str) -> Option<Self> {
        Some(Self::start_with(&mut Command::new(super::example(name)?)))
    }

    pub(crate) fn start_with(command: &mut Command) -> Self {
        let mut child =
            command.arg("tcp://127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut says = BufReader::new(child.stdout.take().expect("its output"));
        let mut greeting = String::new();
        says.read_line(&mut greeting).expect("a greeting");
        let address = greeting.split("tcp://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("an address").parse().expect("an address");
        let program = Program { child, address };
        let client = program.connect();
        Self { program, says, client }
    }

    /// The program's process group, if it was given one of its own.
    #[cfg(feature = "gtk")]
    pub(crate) fn group(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.program.child)
    }

    /// Waits for a second in which the loop made a turn for the timer that tells so, and no other.
    pub(crate) fn assert_idle(&mut self) {
        for _ in 0..60 {
            let mut line = String::new();
            while !line.contains("turns in this second") {
                line.clear();
                assert!(self.says.read_line(&mut line).expect("a line") > 0, "the program has ended");
            }
            if line.starts_with("1 turns") || line.starts_with("0 turns") {
                return;
            }
        }
        panic!("the loop makes turns while nothing happens");
    }

    pub(crate) fn assert_ends(mut self) {
        self.client.say("quit\n");
        let rest = self.assert_exits();
        assert!(rest.contains("the loop has ended: Over"), "{rest}");
    }

    /// Waits for the program's end, and answers with what it said since.
    pub(crate) fn assert_exits(mut self) -> String {
        let status = self.program.child.wait().expect("an end");
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).expect("the rest");
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}

#[cfg(feature = "glib")]
#[test]
fn hosted_glib_answers_and_does_not_poll() {
    let Some(mut guest) = Guest::start("hosted_glib") else { return };
    guest.client.say("one\ntwo\n");
    guest.client.expect("one");
    guest.client.expect("two");
    guest.assert_idle();
    guest.client.say("three\n");
    guest.client.expect("three");
    guest.assert_ends();
}

/// GTK draws at this priority.
#[cfg(feature = "glib")]
const REDRAW: i32 = 120;

#[cfg(feature = "glib")]
#[test]
fn hosted_by_glib_a_loop_that_is_always_busy_lets_windows_be_drawn() {
    use glib::{ControlFlow, MainLoop, Priority};
    use marline::{Handle, Reactor};
    use std::{cell::Cell, rc::Rc, time::Duration};

    fn again(handle: &Handle) {
        let next = handle.clone();
        handle.call_soon(move || again(&next));
    }

    let (reactor, main_loop) = (Rc::new(Reactor::new().expect("a loop")), MainLoop::new(None, false));
    again(&reactor.handle());
    let driven = glib_host::drive(&reactor, || panic!("the loop has ended")).expect("a source");

    let drawn = Rc::new(Cell::new(0));
    let (frames, done) = (Rc::clone(&drawn), main_loop.clone());
    let draw = move || {
        frames.set(frames.get() + 1);
        if frames.get() < 5 {
            return ControlFlow::Continue;
        }
        done.quit();
        ControlFlow::Break
    };
    glib::timeout_add_local_full(Duration::from_millis(10), Priority::from(REDRAW), draw);
    let late = main_loop.clone();
    glib::timeout_add_local_once(Duration::from_secs(20), move || late.quit());
    main_loop.run();

    assert_eq!(drawn.get(), 5);
    assert!(reactor.handle().stats().turns >= 5, "the loop starves");
    drop(driven);
    assert_eq!(Rc::strong_count(&reactor), 1, "GLib still holds the loop");
}

#[cfg(feature = "tokio")]
#[test]
fn hosted_tokio_fetches_pages_for_callbacks_and_does_not_poll() {
    let Some(mut guest) = Guest::start("hosted_tokio") else { return };
    for page in ["/one", "/two/three"] {
        guest.client.say(&format!("{page}\n"));
        guest.client.expect(&format!("GET {page} HTTP/1.1"));
    }
    guest.assert_idle();
    guest.client.say("/four\n");
    guest.client.expect("GET /four HTTP/1.1");
    guest.assert_ends();
}
