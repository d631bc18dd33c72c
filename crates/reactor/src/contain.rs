//! The one place from which code of the user's is called.
//!
//! A panic in a callback, in a `Drop`, in a foreign waker, or in the drop of another panic's payload ends there
//! and becomes a value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;

/// What a callback panicked with. Clones share it.
#[derive(Clone)]
pub struct Panic {
    payload: Arc<Mutex<Option<Payload>>>,
    message: Arc<str>,
}

/// A payload whose own drop is contained.
struct Payload(Option<Box<dyn Any + Send>>);

impl Panic {
    /// Wraps what [`std::panic::catch_unwind`] caught.
    #[must_use]
    pub fn new(payload: Box<dyn Any + Send>) -> Self {
        let message: &str = if let Some(text) = payload.downcast_ref::<&'static str>() {
            text
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text
        } else {
            "a panic without a message"
        };
        Self { message: message.into(), payload: Arc::new(Mutex::new(Some(Payload(Some(payload))))) }
    }

    /// The text of the panic, if it had one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The payload, as `catch_unwind` gives it: once, for whoever asks first.
    #[must_use]
    pub fn take_payload(&self) -> Option<Box<dyn Any + Send>> {
        self.payload.lock().take().and_then(|mut payload| payload.0.take())
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let payload = self.0.take();
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // A payload whose drop panics with another such payload could go on for ever: one leak ends it.
            std::mem::forget(second);
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({:?})", self.message())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message())
    }
}

impl Error for Panic {}

/// Calls code of the user's. A panic becomes an error.
pub(crate) fn contain<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    // What a panic leaves behind is either dropped (a protocol, a closure) or the user's own business.
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }

    #[test]
    fn a_panic_keeps_its_message_and_gives_its_payload_once() {
        let panic = contain(|| panic!("at {}", 7)).unwrap_err();
        assert_eq!(panic.message(), "at 7");
        let copy = panic.clone();
        assert!(copy.take_payload().is_some());
        assert!(panic.take_payload().is_none());
    }

    #[test]
    fn a_payload_whose_drop_panics_is_contained() {
        drop(contain(|| std::panic::panic_any(Bomb)));
    }
}
