//! Side-by-side benchmarks: what a request costs a server on Marline, beside what it costs on other runtimes and on the
//! system's bare calls.
//!
//! ```text
//! cargo run --release -p marline-bench -- quick
//! ```
//!
//! compares echo servers for two minutes and prints tables; `help` names the other modes, and `docs/performance.md` says
//! how to read what they print.
//!
//! Every server is a program of its own, with one thread, on the first core; the clients are another, on the second. In each
//! round every contestant runs once, in a fresh process and in an order drawn anew, and only numbers of the same round are
//! divided by each other: what else the machine does changes from minute to minute, and hits neighbours alike. What is
//! compared is the processor time of the server for each request, which tells more than its speed does when the clients
//! cannot keep it busy. A contestant that cannot be built or started is left out, by name and with the reason.
//!
//! What it is not: a measurement of networks (everything goes over loopback), of servers with many threads, or of latency
//! under a fixed rate.
//!
//! - [`contestant`]: the servers.
//! - [`prepare`]: builds them.
//! - [`server`]: one that runs.
//! - [`versions`]: of which version it is.
//! - [`usage`]: what the system says that it used.
//! - [`cores`]: who runs where.
//! - [`load`]: the clients.
//! - [`workload`]: what they do.
//! - [`role`]: what a server does.
//! - [`serve`]: how it does that, in each style.
//! - [`lateness`]: how late its timers are.
//! - [`sends`]: how often it sends.
//! - [`secure`]: what the servers with TLS have in common.
//! - [`callgrind`]: instructions and allocations.
//! - [`step`]: instructions of servers on rings, whose clocks stand [`still`].
//! - [`counts`]: everything that can be counted of a round trip.
//! - [`tls_counts`]: the instructions of servers with TLS.
//! - [`rounds`]: who runs when.
//! - [`stats`]: medians, and how sure one can be of them.
//! - [`cost`]: what a request cost, and ratios of it; [`latency`]: how long it took.
//! - [`table`]: what is printed.
//! - [`document`]: what is written; [`machine`] and [`versions`]: with what it was measured.
//! - [`plot`]: what it looks like.
//! - [`render`]: tables and plots of a document.
//! - [`progress`]: how far it is.
//! - [`soak`]: clients of all kinds at once.
//! - [`calls`]: the system calls of a round trip.
//! - [`idle`]: the memory of connections that have nothing to say.
//! - [`micro`]: what single operations cost.
//! - [`million`]: a million connections, one after the other.
//! - [`options`]: the command line.
//! - [`peer`]: what the servers on other runtimes have in common.

pub mod callgrind;
pub mod calls;
pub mod contestant;
pub mod cores;
pub mod cost;
pub mod counts;
pub mod document;
pub mod idle;
pub mod latency;
pub mod lateness;
pub mod load;
pub mod machine;
pub mod micro;
pub mod million;
pub mod options;
pub mod peer;
pub mod plot;
pub mod prepare;
pub mod progress;
pub mod render;
pub mod role;
pub mod rounds;
pub mod secure;
pub mod sends;
pub mod serve;
pub mod server;
pub mod soak;
pub mod stats;
pub mod step;
pub mod still;
pub mod table;
pub mod tls_counts;
pub mod usage;
pub mod versions;
pub mod workload;
