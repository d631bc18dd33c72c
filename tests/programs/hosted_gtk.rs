//! A program with a window, on an X server without a screen: others see the title change, and press its keys.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};

use super::example;
use super::hosted::Guest;

/// An X server of the test's own.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// `None`, with the reason printed, if this machine lacks what it takes; in CI that is a failure.
    fn open() -> Option<Self> {
        let runs = |tool: &str| Command::new(tool).arg("-help").output().is_ok();
        if let Some(missing) = ["Xvfb", "xwininfo", "xdotool"].into_iter().find(|tool| !runs(tool)) {
            assert!(std::env::var_os("CI").is_none(), "{missing} is not installed");
            println!("skipped: {missing} is not installed");
            return None;
        }
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "640x480x24"]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb starts");
        let mut number = String::new();
        let said = server.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut number).expect("the display's number");
        Some(Self { server, name: format!(":{}", number.trim()) })
    }

    /// Starts the program on this display, in a process group of its own, and apart from the session of whoever runs this.
    fn start(&self) -> Option<Guest> {
        let mut command = Command::new(example("hosted_gtk")?);
        command.env("DISPLAY", &self.name).env("GDK_BACKEND", "x11").env("GSK_RENDERER", "cairo");
        command.env("GSETTINGS_BACKEND", "memory").env("GTK_A11Y", "none");
        command.env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
        Some(Guest::start_with(command.process_group(0)))
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(name).env("DISPLAY", &self.name).args(arguments).output();
        String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned()
    }

    fn await_title(&self, title: &str) {
        let begun = Instant::now();
        loop {
            let windows = self.tool("xwininfo", &["-root", "-tree"]);
            if windows.contains(&format!("\"{title}\"")) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no window {title:?}: {windows}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key in the program's window.
    fn press(&self, key: &str) {
        let find = ["search", "--sync", "--onlyvisible", "--name", "connections"];
        self.tool("xdotool", &[&find[..], &["windowfocus", "--sync", "key", key]].concat());
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Killed without this chance, it would leave its lock.
        _ = kill_process(Pid::from_child(&self.server), Signal::TERM);
        drop(self.server.wait());
    }
}

fn assert_nothing_is_left(group: Pid) {
    assert_eq!(test_kill_process_group(group), Err(Errno::SRCH), "processes of the program still run");
}

#[test]
fn hosted_gtk_shows_what_callbacks_count_and_does_not_poll() {
    let Some(display) = Display::open() else { return };
    let Some(mut guest) = display.start() else { return };
    let group = guest.group();
    display.await_title("1 connections, 0 lines");
    guest.client.say("one\ntwo\n");
    guest.client.expect("one");
    guest.client.expect("two");
    display.await_title("1 connections, 2 lines");
    guest.assert_idle();

    // The button has the focus: a client in the program itself sends three lines more, and goes.
    display.press("space");
    display.await_title("1 connections, 5 lines");
    guest.assert_idle();
    guest.assert_ends();
    assert_nothing_is_left(group);
}

#[test]
fn hosted_gtk_ends_in_order_when_its_window_is_closed() {
    let Some(display) = Display::open() else { return };
    let Some(mut guest) = display.start() else { return };
    let group = guest.group();
    guest.client.say("one\n");
    guest.client.expect("one");
    display.await_title("1 connections, 1 lines");
    display.press("ctrl+w");
    guest.client.expect("");
    guest.assert_exits();
    assert_nothing_is_left(group);
}
