//! U: standard input and output of processes, on what shells, inetd and other programs make them: pipes, files, sockets,
//! terminals.
//!
//! Each test starts `stdio_child`, a program of these tests, on one of the backends, and is the parent.

#![allow(missing_docs, unreachable_pub)]

mod child;
mod files;
mod modes;
mod pipes;
mod sockets;
mod terminals;

use marline_tests::on_sockets;
