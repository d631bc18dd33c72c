//! The other end of the server that is measured: clients that make requests and check the answers.
//!
//! - `plan`: what to do, and what it found, as the runner and the process of the load tell each other.
//! - `pattern`: the bytes of messages.
//! - `meter`: counts requests, and reads the server's processor time at both ends of the measured ones.
//! - `exchange`: one message, to the server and back.
//! - `channel`: a connection, with or without TLS.
//! - `dial`: opens a connection that stays.
//! - `echo`: connections that stay, each with one message under way.
//! - `crew`: the same by several threads.
//! - `script`: requests and their answers; `talk`: connections that stay, each with several requests under way.
//! - `fan_out`: one who publishes, and many who subscribe.
//! - `soak`: clients of all kinds for some time; `volley`: the fast ones; `misfits`: the others.
//! - `timing`: how long requests took.
//! - `stream`: one connection, with bytes in one direction.
//! - `wait`: waits for events, asleep or awake.
//! - `churn`: connections that come, exchange one message and go.
//!
//! It is a process with one thread on mio (several for groups), and a core of its own where there are two. Each report says what share of the
//! time it was busy itself; near 1, the wall time is its own and not the server's. The server's processor time is the
//! server's in any case.

mod channel;
mod churn;
mod crew;
mod dial;
mod echo;
mod exchange;
mod fan_out;
mod meter;
mod misfits;
mod pattern;
mod plan;
mod script;
mod soak;
mod stream;
mod talk;
mod timing;
mod volley;
mod wait;

use std::io;

use self::stream::Towards;
pub use plan::{Close, Kind, Latency, Line, Plan, Report, Sample};

/// Does what the plan says, and calls `tell` for each thing that there is to say; the last one is the report.
///
/// # Errors
///
/// The system's; if the server closes a connection early; and if it answers with other bytes than were sent.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&Line)) -> io::Result<()> {
    let report = match plan.kind {
        Kind::Echo if plan.depth > 1 => talk::run(plan, tell)?,
        Kind::Soak { seconds } => soak::run(plan, seconds, tell)?,
        Kind::Lines => talk::run(plan, tell)?,
        Kind::FanOut => fan_out::run(plan, tell)?,
        Kind::Echo => echo::run(plan, tell)?,
        Kind::Churn { close } => churn::run(plan, close, tell)?,
        Kind::Upload => stream::run(plan, Towards::Server, tell)?,
        Kind::Download => stream::run(plan, Towards::Clients, tell)?,
    };
    tell(&Line::Report(report));
    Ok(())
}
