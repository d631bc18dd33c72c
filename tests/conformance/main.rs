//! Every behaviour of the contract, on every backend.
//!
//! Each file holds one section of `docs/contract.md`; a test's name begins with the identifiers of the sentences that it
//! proves. `support` makes the worlds that the tests run in, and stamps each test over all of them.

#![allow(missing_docs)]

mod s_life_cycle;
mod support;
mod t_failures;
mod t_ready_queue;
mod t_running;
mod t_timers;
mod t_wait;
