//! Groups of loops, on real sockets and on both backends that have such.
//!
//! * `serving`: which loop gets which connection, in both styles.
//! * `ending`: stop, drain, and what is told at the end.
//! * `rolling`: one loop after the other, while clients keep coming.
//! * `failing`: loops that cannot start, and loops that break.
//! * `starting`: what holds while the group starts. `handed`: connections that one loop accepts and another serves.
//! * `replacing`: loops that break, or are told something else, while others take their places. `counting`: the report.
//! * `working`: tasks and closures across loops, and what loops count.
//! * `bomb`: a loop that breaks when a test wants it to.
//! * `support`: servers that say which loop they are on, and their clients.

#![allow(missing_docs, unreachable_pub)]

mod bomb;
mod counting;
mod ending;
mod failing;
mod handed;
mod replacing;
mod rolling;
mod serving;
mod starting;
mod support;
mod working;
