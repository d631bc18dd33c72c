//! Dangers that event loops are known for, each shown to be none here.
//!
//! * `user_drops`: code of the program's in `Drop`, wherever the loop drops something, and calls from it.
//! * `panics`: callbacks and drops that panic, alone and in company.
//! * `after_the_end`: handles that outlive their loop keep nothing alive.
//! * `resets`: a peer that resets in the middle of everything.
//! * `errors`: errors whose drops do things, and loops that end in unusual places.
//! * `filtered_ends`: what a filter says at the end, where nobody reads yet.
//! * `notices`: what a notice to a host holds, at the end of its loop.
//! * `handles`: streams, sleeps and tasks where it is easy to lose something.
//!
//! The worlds are those of the conformance suite.

#![allow(missing_docs, unreachable_pub)]

mod after_the_end;
mod errors;
mod filtered_ends;
mod handles;
mod notices;
mod panics;
mod resets;
#[allow(dead_code, unused_imports)]
#[path = "../conformance/support/mod.rs"]
mod support;
mod user_drops;
