//! Protocols tested as a user would test them: with no loop, no thread and no descriptor.
//!
//! `.ci/descriptors` runs this under `strace`, and fails if it opens a socket, a pipe, an eventfd or an epoll descriptor.

#![allow(missing_docs)]

mod policies;

use std::time::Duration;

use marline::prelude::*;
use marline::testing::Recorder;

/// Answers each line with its length, says goodbye to `quit`, and to whoever says nothing for a minute.
struct Lengths {
    idle: Option<Timer>,
}

impl Lengths {
    fn new() -> Lines<Self> {
        Lines(Self { idle: None })
    }
}

impl LineProtocol for Lengths {
    fn connection_made(&mut self, transport: &Transport) {
        let idle = transport.clone();
        self.idle = Some(transport.handle().call_later(Duration::from_secs(60), move || idle.close()));
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.idle.iter().for_each(|idle| _ = idle.reset(Duration::from_secs(60)));
        if line == b"quit" {
            transport.write("bye\n");
            transport.close();
        } else {
            transport.write(format!("{}\n", line.len()));
        }
    }
}

#[test]
fn lines_are_answered_however_they_are_cut() {
    let recorder = Recorder::new();
    let mut protocol = Lengths::new();
    protocol.connection_made(recorder.transport());
    for byte in b"one\r\nthree\n" {
        protocol.data_received(recorder.transport(), &[*byte]);
    }
    assert_eq!(recorder.written(), b"3\n5\n");
}

#[test]
fn nothing_is_answered_after_the_goodbye() {
    let recorder = Recorder::new();
    let mut protocol = Lengths::new();
    protocol.connection_made(recorder.transport());
    protocol.data_received(recorder.transport(), b"quit\nmore\n");
    assert_eq!(recorder.written(), b"bye\n");
    assert!(recorder.is_finished());
    assert!(recorder.lost().is_some_and(|lost| lost.is_clean()));
}

#[test]
fn a_silent_minute_ends_the_connection() {
    let recorder = Recorder::new();
    let mut protocol = Lengths::new();
    protocol.connection_made(recorder.transport());
    recorder.memory().advance(Duration::from_secs(59));
    protocol.data_received(recorder.transport(), b"still here\n");
    recorder.memory().advance(Duration::from_secs(59));
    assert!(!recorder.is_finished());
    recorder.memory().advance(Duration::from_secs(1));
    assert_eq!(recorder.written(), b"10\n");
    assert!(recorder.is_finished());
}
