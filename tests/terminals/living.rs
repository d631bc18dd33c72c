//! What works in a far terminal as it does in a near one.

use std::time::Duration;

use marline_tests::{on_sockets, wait_for};

use crate::server::{Server, shells};
use crate::shell;
use crate::window::{Window, has_tmux};

on_sockets! {
    commands_answer
    the_shell_is_told_of_each_size
    ctrl_c_interrupts_and_the_shell_lives_on
    jobs_are_stopped_listed_and_continued
}

/// Runs the test in each shell.
fn in_shells(backend: &str, test: impl Fn(&str, &Window)) {
    if !has_tmux() {
        return;
    }
    for path in shells() {
        let Some(server) = Server::start(backend, path) else { return };
        test(path, &server.visit());
    }
}

fn commands_answer(backend: &str) {
    in_shells(backend, |_, window| {
        window.answers("echo $((6 * 7))", "42");
        window.answers("tty >/dev/null && echo a ter''minal", "a terminal");
        // What is typed ahead, while nobody reads it, is not lost.
        window.answers("sleep 0.2; echo fi''rst", "first");
        window.answers("echo wh''o?; read answer", "who?");
        window.type_line("typed");
        window.answers("echo \"<$answer>\"", "<typed>");
        // Keys that are no line: the character before is erased.
        window.answers("echo errasse\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}ased", "erased");
    });
}

fn the_shell_is_told_of_each_size(backend: &str) {
    in_shells(backend, |_, window| {
        // That of the window is that of the far terminal from the beginning, or soon after.
        wait_for("the first size", || {
            window.type_line("stty size");
            let shown = window.shown();
            if shown.lines().any(|line| line.trim_end() == "24 80") { Ok(()) } else { Err(shown) }
        });
        window.answers("trap 'echo changed to $(stty size)' WINCH; echo ar''med", "armed");
        for (columns, rows) in [(97, 31), (255, 40), (40, 10)] {
            window.resize(columns, rows);
            told(window, &format!("changed to {rows} {columns}"));
            window.answers("echo now $(stty size)", &format!("now {rows} {columns}"));
        }
    });
}

/// Waits for what a trap says. Shells that wait for a line run it when they have got one.
fn told(window: &Window, line: &str) {
    wait_for(line, || {
        let shown = window.shown();
        if shown.lines().any(|shown| shown.trim_end().ends_with(line)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
        window.press("Enter");
        Err(shown)
    });
    // And those that ran it at once have not asked again since.
    window.press("Enter");
}

fn ctrl_c_interrupts_and_the_shell_lives_on(backend: &str) {
    in_shells(backend, |_, window| {
        let process = shell::of(window);
        for (number, program) in ["sleep 1000", "cat"].into_iter().enumerate() {
            window.type_line(program);
            let name = program.split(' ').next().expect("a name");
            let child = shell::foreground(&process, name);
            window.press("C-c");
            shell::is_gone(&child);
            window.wait_for_prompt();
            window.answers(&format!("echo {number}: $?"), &format!("{number}: 130"));
        }
        // A line that was begun is given up.
        window.press("x");
        window.press("C-c");
        window.wait_for_prompt();
        window.answers("echo st''ill $$", &format!("still {}", process.id));
    });
}

fn jobs_are_stopped_listed_and_continued(backend: &str) {
    in_shells(backend, |path, window| {
        let process = shell::of(window);
        window.type_line("sleep 1000");
        let job = shell::foreground(&process, "sleep");
        window.press("C-z");
        shell::is_stopped(&job, true);
        shell::is_back(&process);
        listed(window, "stopped", "Stopped");

        window.type_line("bg");
        shell::is_stopped(&job, false);
        listed(window, "running", "Running");
        shell::is_back(&process);

        // By its number alone only some shells continue one.
        let again = if path.ends_with("bash") { "%1" } else { "fg %1" };
        for continues in ["fg", again] {
            window.type_line(continues);
            assert_eq!(shell::foreground(&process, "sleep"), job);
            window.press("C-z");
            shell::is_stopped(&job, true);
            shell::is_back(&process);
        }
        window.type_line("fg");
        shell::is_stopped(&job, false);
        assert_eq!(shell::foreground(&process, "sleep"), job);
        window.press("C-c");
        shell::is_gone(&job);
        window.wait_for_prompt();
        window.answers("jobs; echo no''ne", "none");

        let shown = window.shown().to_lowercase();
        for complaint in ["no job control", "job control turned off", "can't access tty"] {
            assert!(!shown.contains(complaint), "{shown}");
        }
    });
}

/// Lists the jobs, marked so that it is not mistaken for what the shell says of itself.
fn listed(window: &Window, mark: &str, state: &str) {
    window.wait_for_prompt();
    window.type_line(&format!("jobs >~/jobs; sed 's/^/{mark}: /' ~/jobs"));
    window.wait_for_line(state, |line| {
        let job = line.strip_prefix(mark)?.strip_prefix(": [1]")?;
        (job.contains(state) && job.contains("sleep 1000")).then_some(())
    });
}
