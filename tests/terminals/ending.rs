//! How it ends: by a hang-up, by the shell, or by who leaves.

use marline_tests::{on_sockets, wait_for};

use crate::server::{Server, shells};
use crate::shell;
use crate::window::has_tmux;

on_sockets! {
    a_closed_window_hangs_up_and_the_next_client_is_served
    an_exit_ends_the_client_after_everything_is_shown
    who_leaves_hangs_up
}

/// In the foreground, this tells of its end.
const TELLS: &str =
    "sh -c 'trap \"echo hung up >~/told; exit\" HUP; echo ar\"\"med; while :; do sleep 0.05; done'";

/// Waits until the server has nothing of its clients any more. `before` is how many descriptors it had before the first; a ring
/// has one more from then on, with which it waits for what it cannot read itself.
fn is_free(server: &Server, before: usize) {
    let process = server.process();
    wait_for("a server without clients", || {
        let left = (process.children().len(), process.descriptors());
        match left {
            (0, Some(now)) if (before..=before + 1).contains(&now) => Ok(()),
            _ => Err(format!("{left:?}, and it began with {before}")),
        }
    });
}

fn a_closed_window_hangs_up_and_the_next_client_is_served(backend: &str) {
    if !has_tmux() {
        return;
    }
    for path in shells() {
        let Some(server) = Server::start(backend, path) else { return };
        let descriptors = server.process().descriptors().expect("it runs");
        let window = server.visit();
        let process = shell::of(&window);
        window.type_line("sleep 1000");
        let stopped = shell::foreground(&process, "sleep");
        window.press("C-z");
        shell::is_stopped(&stopped, true);
        window.wait_for_prompt();
        window.answers(TELLS, "armed");
        let foreground = shell::foreground(&process, "sh");
        // Another window is nothing to it.
        let other = server.visit();

        window.close();
        for ends in [process, foreground, stopped] {
            shell::is_gone(&ends);
        }
        wait_for("a word from the foreground", || match std::fs::read_to_string(server.home.path("told")) {
            Ok(text) if text == "hung up\n" => Ok(()),
            other => Err(format!("{other:?}")),
        });
        wait_for("how the shell ended", || {
            let errors = server.errors();
            if errors.contains("SIGHUP") { Ok(()) } else { Err(errors) }
        });

        other.answers("echo $((6 * 7))", "42");
        server.visit().answers("echo $((7 * 8))", "56");
        other.answers("exit", "client: 0");
        is_free(&server, descriptors);
    }
}

fn an_exit_ends_the_client_after_everything_is_shown(backend: &str) {
    const LAST: usize = 20_000;
    if !has_tmux() {
        return;
    }
    for path in shells() {
        let Some(server) = Server::start(backend, path) else { return };
        let descriptors = server.process().descriptors().expect("it runs");
        let (before, after) = (server.home.path("before"), server.home.path("after"));
        let (first, then) = (format!("stty -g >{before}"), format!("stty -g >{after}; echo al''l"));
        let window = server.visit_between(&first, &then);
        window.answers(&format!("seq {LAST}; exit"), "all");

        let shown = window.shown();
        let numbers: Vec<usize> = shown.lines().filter_map(|line| line.trim_end().parse().ok()).collect();
        assert!(numbers.iter().copied().eq(1..=LAST), "{} of {LAST} numbers are shown", numbers.len());
        assert!(shown.lines().any(|line| line.trim_end() == "client: 0"), "the client failed");
        let settings = |path| std::fs::read_to_string(path).expect("settings");
        assert_eq!(settings(before), settings(after));
        is_free(&server, descriptors);
    }
}

fn who_leaves_hangs_up(backend: &str) {
    if !has_tmux() {
        return;
    }
    let Some(server) = Server::start(backend, "/bin/sh") else { return };
    let descriptors = server.process().descriptors().expect("it runs");
    let window = server.visit();
    let process = shell::of(&window);
    window.type_line("cat");
    let foreground = shell::foreground(&process, "cat");
    window.press("C-]");
    window.wait_for_line("the client's end", |line| (line == "client: 0").then_some(()));
    shell::is_gone(&process);
    shell::is_gone(&foreground);
    is_free(&server, descriptors);
}
