use std::fs::File;
use std::io::Read;

use super::*;
use crate::backend::Opening;
use crate::backend::full::fill;
use crate::terminal::{Pty, WindowSize};

/// A terminal whose master is a connection, a copy of that, and the other side, neither of which blocks.
fn terminal(rig: &mut Rig) -> (Key, File, File) {
    let handle = crate::reactor::Reactor::new().unwrap();
    let Pty { master, slave } = handle.handle().open_pty(WindowSize::new(24, 80)).unwrap();
    let Opening::One(master) = master else { panic!("it has a descriptor") };
    let (typist, slave) = (File::from(master.try_clone().unwrap()), slave.into_fd().unwrap());
    rustix::io::ioctl_fionbio(&slave, true).unwrap();
    let key = rig.key();
    rig.backend.open(key, master.into()).unwrap();
    (key, typist, slave.into())
}

/// What is typed where there is room.
const LINE: &[u8] = b"0123456789abcde\n";

#[test]
fn an_end_that_finds_no_room_is_typed_when_there_is_some() {
    let mut rig = Rig::new();
    let (key, typist, mut slave) = terminal(&mut rig);
    let typed = fill(&typist, LINE);
    assert!(matches!(rig.backend.shutdown(key), Started::Pending));
    let (mut read, mut bytes, mut shut) = (0, [0; 4096], false);
    let deadline = rig.backend.now() + PATIENCE;
    while rig.backend.now() < deadline {
        shut |= rig.rest().iter().any(|told| matches!(told, Completion::Shut(of, Ok(())) if *of == key));
        // What a terminal in this mode shows would fill it the other way round.
        while rig.receive_some(key) {}
        match slave.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    assert!(shut, "the end was answered");
    assert_eq!(read, typed);
}

#[test]
fn a_close_answers_for_an_end_that_was_not_typed() {
    let mut rig = Rig::new();
    let (key, typist, _slave) = terminal(&mut rig);
    fill(&typist, LINE);
    assert!(matches!(rig.backend.shutdown(key), Started::Pending));
    assert!(matches!(rig.backend.close(key, Close::Reset), Started::Pending));
    let told = rig.rest();
    let answers: Vec<_> =
        told.iter().filter(|told| matches!(told, Completion::Shut(..) | Completion::Closed(_))).collect();
    assert!(matches!(answers[..], [Completion::Shut(_, Err(_)), Completion::Closed(_)]), "{answers:?}");
}

impl Rig {
    fn receive_some(&mut self, key: Key) -> bool {
        match self.backend.receive(key, None) {
            Received::Chunk(chunk) => {
                self.backend.release(chunk);
                true
            }
            _ => false,
        }
    }
}
