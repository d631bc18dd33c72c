//! What of the field works on Marline, and what of Marline works elsewhere.
//!
//! * `executor`: a second executor, on the reactor's public API alone; `second`: streams, timers and combinators on it.
//! * `channels`: the channels and locks of other crates, within a loop and between two.
//!
//! The worlds are those of the conformance suite.

#![allow(missing_docs, unreachable_pub)]

mod channels;
mod executor;
mod second;
#[allow(dead_code, unused_imports)]
#[path = "../conformance/support/mod.rs"]
mod support;
