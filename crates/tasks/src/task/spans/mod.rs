//! Tasks as spans of `tracing`, in the form that `tokio-console` reads.
//!
//! * `enabled`: with the feature `tracing`; `disabled`: without it, nothing at all.

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(feature = "tracing")]
mod enabled;

#[cfg(not(feature = "tracing"))]
pub(super) use disabled::Traced;
#[cfg(feature = "tracing")]
pub(super) use enabled::Traced;
