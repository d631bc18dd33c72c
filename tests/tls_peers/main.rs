//! TLS with other people's programs: `openssl` and `curl`, in both roles, on each backend.
//!
//! * `certificates`: authorities, and what they issue.
//! * `peers`: programs at the other end.
//! * `our_server`: `openssl s_client` and `curl` as clients of ours.
//! * `our_client`: our client with `openssl s_server`.
//! * `failures`: each kind of trouble ends in an error that says what it is.
//! * `starttls`, `tlscat`: the examples of these names.

#![allow(missing_docs, unreachable_pub)]

mod certificates;
mod failures;
mod our_client;
mod our_server;
mod peers;
mod starttls;
mod tlscat;
