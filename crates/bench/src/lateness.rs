//! How late the timers of a loop are: a timer of a millisecond, within a server that does other work. The server says so
//! when it is asked to end (SIGTERM), and ends.
//!
//! A timer is late because the loop was at something else, or because the machine let another process run. What the kernel
//! counts tells them apart: for how long a thread could have run, and waited for a core (`schedstat`, its second number). Where the host
//! of a virtual machine takes the core away, no count of the guest's may tell. But the loop stands still then: it makes a small
//! part of the steps that it makes in such a time as a rule.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

use marline::prelude::*;
use serde::Serialize;

/// How often the timer is due.
pub const PERIOD: Duration = Duration::from_millis(1);
/// What stands before the numbers of nanoseconds, in what the server says.
pub const PREFIX: &str = "latest timer, ns: ";

/// How late timers were, at worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lateness {
    /// By the clock on the wall.
    pub wall: Duration,
    /// Without the time in which the thread waited for a core, and of those meanwhile the loop did not stand still. It may be too much by a
    /// [`PERIOD`].
    pub own: Duration,
    /// The same, of those meanwhile it stood still.
    pub still: Duration,
}

/// A loop stands still if it needs, at its pace, less than this part of the time for the steps that it made meanwhile.
const PART: u32 = 4;
/// After so many steps its pace is known.
const KNOWN: u64 = 10_000;

impl Lateness {
    /// A timer ran so late, a period and that after the one before, and meanwhile its thread waited for a core for so long.
    /// Some of it may have waited before the deadline, when it made nobody late; no more than a period. For the steps that the loop made
    /// meanwhile it needs so long.
    fn see(&mut self, late: Duration, waited: Duration, needed: Duration) {
        let without = late.min((late + PERIOD).saturating_sub(waited));
        let whose = if needed * PART < without { &mut self.still } else { &mut self.own };
        *whose = without.max(*whose);
        self.wall = self.wall.max(late);
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [wall, own, still] = [self.wall, self.own, self.still].map(|late| late.as_nanos());
        write!(f, "{PREFIX}{wall} {own} {still}")
    }
}

/// Looks on as the timers of this thread run.
struct Watcher {
    /// What the kernel counts of this thread; where it does not, all lateness is the loop's own.
    counted: Option<File>,
    /// How much that was after the last timer.
    waited: Duration,
    /// When it began to look on, and how many steps the loop had made by then; how many after the last timer.
    begun: (Instant, u64),
    steps: u64,
    worst: Lateness,
}

impl Watcher {
    fn new(handle: &Handle) -> Rc<RefCell<Self>> {
        let steps = handle.step();
        let mut watcher = Self {
            begun: (Instant::monotonic(), steps),
            steps,
            counted: File::open("/proc/thread-self/schedstat").ok(),
            waited: Duration::ZERO,
            worst: Lateness::default(),
        };
        watcher.waited = watcher.waited_so_far();
        Rc::new(RefCell::new(watcher))
    }

    /// The timer that was due then runs: what time it is. What the thread waits for before it is asked for the time, and after
    /// the kernel's count was read, is counted for no timer, and so as lateness of the loop's own.
    fn ran(&mut self, due: Instant, handle: &Handle) -> Instant {
        let waited = self.waited_so_far().saturating_sub(self.waited);
        let now = Instant::monotonic();
        self.waited = self.waited_so_far();
        let steps = handle.step();
        let needed = self.needed(now, steps);
        self.steps = steps;
        self.worst.see(now.since(due), waited, needed);
        now
    }

    /// How long the loop needs, at its pace, for the steps since the last timer. It is taken to have been busy all the time.
    fn needed(&self, now: Instant, steps: u64) -> Duration {
        let (begun, before) = self.begun;
        let (all, these) = (steps - before, steps - self.steps);
        match all {
            ..KNOWN => Duration::MAX / PART,
            _ => now.since(begun).mul_f64(these as f64 / all as f64),
        }
    }

    fn waited_so_far(&self) -> Duration {
        let mut text = [0; 64];
        let length = self.counted.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        waited(&text[..length]).unwrap_or_default()
    }
}

/// The second number of `schedstat`.
fn waited(text: &[u8]) -> Option<Duration> {
    let number = std::str::from_utf8(text).ok()?.split_whitespace().nth(1)?;
    number.parse().ok().map(Duration::from_nanos)
}

/// Watches the timers of this loop from now on, in callbacks.
///
/// # Errors
///
/// If the loop cannot watch the signal.
pub fn watch(handle: &Handle) -> marline::Result<()> {
    let watcher = Watcher::new(handle);
    arm(handle, handle.now() + PERIOD, Rc::clone(&watcher));
    let ending = handle.clone();
    handle.on_signal(SignalKind::TERMINATE, move || {
        println!("{}", watcher.borrow().worst);
        ending.stop();
    })?;
    Ok(())
}

/// Each deadline is set anew, a period behind the one before, so that every one that was late counts.
fn arm(handle: &Handle, due: Instant, watcher: Rc<RefCell<Watcher>>) {
    let again = handle.clone();
    handle.call_at(due, move || {
        let now = watcher.borrow_mut().ran(due, &again);
        arm(&again, now.max(due) + PERIOD, watcher);
    });
}

/// The same in tasks: it returns when the signal comes.
///
/// # Errors
///
/// If the loop cannot watch the signal.
pub async fn until_asked() -> marline::Result<()> {
    let handle = Handle::current()?;
    let watcher = Watcher::new(&handle);
    let looking = Rc::clone(&watcher);
    spawn(async move {
        let mut due = Instant::monotonic() + PERIOD;
        loop {
            marline::sleep_until(due).await;
            let now = looking.borrow_mut().ran(due, &handle);
            due = now.max(due) + PERIOD;
        }
    });
    signal(SignalKind::TERMINATE)?.recv().await?;
    println!("{}", watcher.borrow().worst);
    Ok(())
}

/// The numbers in a line that begins with [`PREFIX`].
#[must_use]
pub fn parse(line: &str) -> Option<Lateness> {
    let mut numbers = line.strip_prefix(PREFIX)?.split_whitespace();
    let mut next = || numbers.next()?.parse().ok().map(Duration::from_nanos);
    Some(Lateness { wall: next()?, own: next()?, still: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_the_server_says_is_understood() {
        let lateness = Lateness { wall: ms(30), own: Duration::from_nanos(1500), still: ms(2) };
        assert_eq!(parse(&format!("{lateness}\n")), Some(lateness));
        assert_eq!(parse("listening on tcp://127.0.0.1:1"), None);
    }

    #[test]
    fn who_waits_for_a_core_is_late_for_no_reason_of_its_own() {
        let seen = |late, waited| {
            let mut lateness = Lateness::default();
            lateness.see(late, waited, late);
            assert_eq!(lateness.still, ms(0));
            (lateness.wall, lateness.own)
        };
        assert_eq!(seen(ms(7), ms(0)), (ms(7), ms(7)));
        assert_eq!(seen(ms(7), ms(1)), (ms(7), ms(7)), "it may have waited before the deadline");
        assert_eq!(seen(ms(7), ms(6)), (ms(7), ms(2)));
        assert_eq!(seen(ms(7), ms(8)), (ms(7), ms(0)));
    }

    #[test]
    fn who_stands_still_is_late_for_no_reason_of_its_own() {
        let mut lateness = Lateness::default();
        lateness.see(ms(8), ms(0), ms(2));
        assert_eq!((lateness.own, lateness.still), (ms(8), ms(0)));
        lateness.see(ms(24), ms(0), ms(5));
        lateness.see(ms(20), ms(0), ms(1));
        assert_eq!((lateness.wall, lateness.own, lateness.still), (ms(24), ms(8), ms(24)));
    }

    #[test]
    fn what_the_kernel_counts_is_read() {
        assert_eq!(waited(b"123 45678 9\n"), Some(Duration::from_nanos(45_678)));
        assert_eq!(waited(b""), None);
        let reactor = Reactor::new().expect("a loop");
        assert!(Watcher::new(&reactor.handle()).borrow().counted.is_some() || !cfg!(target_os = "linux"));
    }
}
