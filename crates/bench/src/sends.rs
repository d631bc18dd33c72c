//! How often a loop asked its backend to send. A server of ours that publishes says so when it is asked to end (SIGTERM), and
//! ends: what goes through a ring is seen by nobody outside.

use marline::prelude::*;

/// What stands before the number, in what the server says.
const PREFIX: &str = "sends: ";

/// Tells at the end, from callbacks.
///
/// # Errors
///
/// If the loop cannot watch the signal.
pub fn watch(handle: &Handle) -> marline::Result<()> {
    let ending = handle.clone();
    handle.on_signal(SignalKind::TERMINATE, move || {
        println!("{PREFIX}{}", ending.stats().sends);
        ending.stop();
    })?;
    Ok(())
}

/// Tells at the end, from a task: it returns when the signal comes.
///
/// # Errors
///
/// If the loop cannot watch the signal, or there is none.
pub async fn until_asked() -> marline::Result<()> {
    signal(SignalKind::TERMINATE)?.recv().await?;
    println!("{PREFIX}{}", Handle::current()?.stats().sends);
    Ok(())
}

/// The number in what a server said.
#[must_use]
pub fn parse(said: &[String]) -> Option<u64> {
    said.iter().find_map(|line| line.strip_prefix(PREFIX)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_understood() {
        assert_eq!(parse(&["hello".to_owned(), format!("{PREFIX}16000")]), Some(16_000));
        assert_eq!(parse(&["listening on tcp://127.0.0.1:1".to_owned()]), None);
    }
}
