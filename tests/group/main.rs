//! Groups of loops, on real sockets and on both backends that have such.
//!
//! * `serving`: which loop gets which connection, in both styles.
//! * `ending`: stop, drain, and what is told at the end.
//! * `rolling`: one loop after the other, while clients keep coming.
//! * `failing`: loops that cannot start, and loops that break.
//! * `working`: tasks and closures across loops, and what loops count.
//! * `support`: servers that say which loop they are on, and their clients.

#![allow(missing_docs, unreachable_pub)]

mod ending;
mod failing;
mod rolling;
mod serving;
mod support;
mod working;
