//! Everything that a loop holds, as text for people.

use std::fmt::Write;

use super::lines;
use crate::reactor::{Shell, Slot};

/// Appends a heading, and one line for each thing.
fn section(text: &mut String, one: &str, many: &str, rows: &[String]) {
    match rows.len() {
        0 => return append(text, format_args!("no {many}")),
        1 => append(text, format_args!("1 {one}")),
        count => append(text, format_args!("{count} {many}")),
    }
    rows.iter().for_each(|row| append(text, format_args!("  {row}")));
}

fn append(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "{line}");
}

impl Shell {
    pub(super) fn dump(&self) -> String {
        let mut text = String::new();
        self.dump_loop(&mut text);
        self.dump_slots(&mut text);
        section(&mut text, "attempt to connect", "attempts to connect", &self.connects.borrow().rows());
        self.dump_timers(&mut text);
        section(&mut text, "signal", "signals", &self.signals.borrow().rows());
        let handlers = self.os_signals.rows();
        if !handlers.is_empty() {
            let (one, many) = ("handler of a signal of the system", "handlers of signals of the system");
            section(&mut text, one, many, &handlers);
        }
        let processes = self.processes.borrow().rows();
        if !processes.is_empty() {
            section(&mut text, "child process", "child processes", &processes);
        }
        for (title, written) in self.written_sections() {
            append(&mut text, format_args!("{title}"));
            written.lines().for_each(|line| append(&mut text, format_args!("  {line}")));
        }
        text
    }

    fn dump_loop(&self, text: &mut String) {
        let stats = self.collect_stats();
        append(text, format_args!("{:?} on {}, {}", self.id, self.backend_ref().name(), self.state_name()));
        append(
            text,
            format_args!("  {} turns, {} callbacks, {} events", stats.turns, stats.callbacks, stats.events),
        );
        let (ready, peak, posts) = (stats.ready, stats.ready_peak, stats.posts);
        append(
            text,
            format_args!("  ready: {ready} (at most {peak} so far); posts of other threads: {posts}"),
        );
        let lag = (stats.last_lag, stats.longest_lag);
        append(
            text,
            format_args!("  callbacks of the last turn took {:?}, of the longest {:?}", lag.0, lag.1),
        );
        let late = (stats.timers_due, stats.last_lateness, stats.longest_lateness);
        append(
            text,
            format_args!(
                "  timers that came due: {}, the last {:?} late, the latest {:?}",
                late.0, late.1, late.2
            ),
        );
        let (looked_up, jobs) = (self.resolver.borrow().open(), self.pool.borrow().open());
        append(
            text,
            format_args!(
                "  names being looked up: {looked_up}; blocking jobs: {jobs}; guards that keep it running: {}; hooks before sleep: {}",
                self.guards(),
                self.sleep_hooks.len()
            ),
        );
    }

    fn dump_slots(&self, text: &mut String) {
        let (mut connections, mut listeners, mut watches) = (Vec::new(), Vec::new(), Vec::new());
        let mut datagrams = Vec::new();
        for key in self.slot_keys() {
            // Nothing in here is the user's: the names of protocols' types cannot be overridden.
            self.slot(key, |slot| match slot {
                Slot::Connection(connection) => connections.push(lines::connection(key, connection)),
                Slot::Listener(listening) => listeners.push(format!("{key:?} {}", listening.line())),
                Slot::Datagram(port) => datagrams.push(port.line(key)),
                Slot::Watch(watching) => watches.push(format!("{key:?} {}", watching.line())),
                _ => {}
            });
        }
        section(text, "connection", "connections", &connections);
        section(text, "listener", "listeners", &listeners);
        section(text, "datagram socket", "datagram sockets", &datagrams);
        section(text, "watched source", "watched sources", &watches);
    }

    fn dump_timers(&self, text: &mut String) {
        let now = self.now();
        section(text, "timer", "timers", &self.timers.rows(now));
    }
}
