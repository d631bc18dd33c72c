//! The example `terminal`: a shell in a terminal, far away, with a person at a real terminal program before it.
//!
//! * `window`: a window of tmux, with its keys, its size and what it shows.
//! * `server`: the example as a server, and its clients.
//! * `shell`: a shell as the system sees it, and what is in its foreground.
//! * `living`: what works in there: commands, the size, Ctrl-C, jobs.
//! * `ending`: hang-ups, `exit`, and who leaves.
//! * `bytes`: clients that are no terminals.

#![allow(missing_docs, unreachable_pub)]

mod bytes;
mod ending;
mod living;
mod server;
mod shell;
mod window;
