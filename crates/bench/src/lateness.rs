//! How late the timers of a loop are: a timer of a millisecond, within a server that does other work. The server says so
//! when it is asked to end (SIGTERM), and ends.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline::prelude::*;

/// How often the timer is due.
pub const PERIOD: Duration = Duration::from_millis(1);
/// What stands before the number of nanoseconds, in what the server says.
pub const PREFIX: &str = "latest timer, ns: ";

/// Watches the timers of this loop from now on, in callbacks.
///
/// # Errors
///
/// If the loop cannot watch the signal.
pub fn watch(handle: &Handle) -> marline::Result<()> {
    let worst = Rc::new(Cell::new(Duration::ZERO));
    arm(handle, handle.now() + PERIOD, Rc::clone(&worst));
    let ending = handle.clone();
    handle.on_signal(SignalKind::TERMINATE, move || {
        println!("{PREFIX}{}", worst.get().as_nanos());
        ending.stop();
    })?;
    Ok(())
}

/// Each deadline is set anew, a period behind the one before, so that every one that was late counts.
fn arm(handle: &Handle, due: Instant, worst: Rc<Cell<Duration>>) {
    let again = handle.clone();
    handle.call_at(due, move || {
        let now = again.now();
        worst.set(worst.get().max(now.since(due)));
        arm(&again, now.max(due) + PERIOD, worst);
    });
}

/// The same in tasks: it returns when the signal comes.
///
/// # Errors
///
/// If the loop cannot watch the signal.
pub async fn until_asked() -> marline::Result<()> {
    let worst = Rc::new(Cell::new(Duration::ZERO));
    let seen = Rc::clone(&worst);
    spawn(async move {
        loop {
            let due = Instant::monotonic() + PERIOD;
            marline::sleep_until(due).await;
            seen.set(seen.get().max(Instant::monotonic().since(due)));
        }
    });
    signal(SignalKind::TERMINATE)?.recv().await?;
    println!("{PREFIX}{}", worst.get().as_nanos());
    Ok(())
}

/// The number in a line that begins with [`PREFIX`].
#[must_use]
pub fn parse(line: &str) -> Option<Duration> {
    line.strip_prefix(PREFIX)?.trim().parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_understood() {
        assert_eq!(parse(&format!("{PREFIX}{}\n", 1500)), Some(Duration::from_nanos(1500)));
        assert_eq!(parse("listening on tcp://127.0.0.1:1"), None);
    }
}
