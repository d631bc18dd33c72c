//! A shell as the system sees it.

use marline_tests::running::Running;
use marline_tests::wait_for;

use crate::window::Window;

/// Types this into a shell for it to say its number.
pub const WHO: &str = "echo shell=$$";

/// The shell of which this line tells the number.
pub fn named(line: &str) -> Option<Running> {
    Running::find(line.strip_prefix("shell=")?.parse().ok()?)
}

/// The shell in a window.
#[track_caller]
pub fn of(window: &Window) -> Running {
    window.type_line(WHO);
    window.wait_for_line("the number of the shell", named)
}

/// Waits until a child of the shell's that has this name is in the foreground.
#[track_caller]
pub fn foreground(shell: &Running, program: &str) -> Running {
    wait_for(program, || {
        let foreground = shell.told().ok_or("the shell has ended")?.foreground;
        let told: Vec<_> =
            shell.children().into_iter().filter_map(|child| Some((child, child.told()?))).collect();
        let is_meant = |told: &marline_tests::running::Told| {
            told.program == program && i64::from(told.group) == foreground
        };
        let found = told.iter().find(|(_, told)| is_meant(told));
        found.map(|(child, _)| *child).ok_or_else(|| format!("{foreground} {told:?}"))
    })
}

/// Waits until the shell itself is in the foreground.
#[track_caller]
pub fn is_back(shell: &Running) {
    wait_for("the shell in the foreground", || {
        let told = shell.told().ok_or("the shell has ended")?;
        if told.foreground == i64::from(told.group) { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

/// Waits until the process is, or is not, stopped.
#[track_caller]
pub fn is_stopped(process: &Running, expected: bool) {
    wait_for("a process to stop or go on", || {
        let told = process.told().ok_or("it has ended")?;
        if (told.state == 'T') == expected { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

/// Waits until the process has ended.
#[track_caller]
pub fn is_gone(process: &Running) {
    wait_for("the end of a process", || process.told().map_or(Ok(()), |told| Err(format!("{told:?}"))));
}
