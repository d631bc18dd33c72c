//! Waiting for time to pass.
//!
//! `sleep`: until a moment; `interval`: again and again; `timeout`: at most so long.

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, MissedTicks, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
