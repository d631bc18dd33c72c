//! Every behaviour of the contract, on every backend.
//!
//! Each file holds one section of `docs/contract.md`; a test's name begins with the identifiers of the sentences that it
//! proves. `support` makes the worlds that the tests run in, and stamps each test over all of them.

#![allow(missing_docs)]

mod h_half_close;
mod s_addresses;
mod s_endings;
mod s_failures;
mod s_handover;
mod s_life_cycle;
mod s_loop_end;
mod support;
