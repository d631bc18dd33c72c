//! Lets `tokio-console` look at a program: `enabled` with the feature `console`, `disabled` without it.

#[cfg(not(feature = "console"))]
mod disabled;
#[cfg(feature = "console")]
mod enabled;

#[cfg(not(feature = "console"))]
pub(crate) use disabled::init;
#[cfg(feature = "console")]
pub(crate) use enabled::init;
