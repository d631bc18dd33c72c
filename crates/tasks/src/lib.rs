//! Futures on the loop.
