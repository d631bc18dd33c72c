//! Counts of calls to the operating system.

/// Counts of calls to the operating system, by kind. Calls are counted as they are made: an operation that is submitted with
/// others in one call is none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemCalls {
    /// Waits for events.
    pub waits: u64,
    /// Receives, those that found nothing included.
    pub receives: u64,
    /// Sends, those that were refused included.
    pub sends: u64,
    /// Accepts, those that found nothing included.
    pub accepts: u64,
    /// Registrations with the multiplexer, and changes of them.
    pub registrations: u64,
    /// Connects.
    pub connects: u64,
    /// Shutdowns of one direction.
    pub shutdowns: u64,
    /// Closes.
    pub closes: u64,
    /// Everything else: options, names, errors.
    pub others: u64,
}
