//! With the feature: a thread of its own serves what `tokio-console` asks for.

/// Serves the console on `127.0.0.1:6669`, or where the variable `TOKIO_CONSOLE_BIND` says.
pub(crate) fn init() {
    console_subscriber::init();
}
