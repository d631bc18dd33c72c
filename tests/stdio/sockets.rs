//! Sockets: one for both, as from inetd, or one each.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::child::{Process, pipe, read_all, read_until, write};
use crate::on_sockets;

on_sockets! {
    u09_one_socket_is_read_and_written
    u09_the_output_of_one_socket_is_ended_while_its_input_goes_on
    u09_one_socket_ends_with_the_program_though_its_parent_keeps_it
    u09_each_may_be_a_socket_of_its_own
}

/// Our end, and the child's input and output.
fn socket() -> (UnixStream, OwnedFd, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let output = theirs.try_clone().expect("a descriptor");
    (ours, theirs.into(), output.into())
}

fn u09_one_socket_is_read_and_written(backend: &str) {
    for way in ["shout", "await"] {
        let (ours, input, output) = socket();
        let process = Process::start(backend, way, input, output);
        write(&ours, b"one ");
        assert_eq!(read_until(&ours, b" "), b"ONE ");
        write(&ours, b"two");
        ours.shutdown(Shutdown::Write).expect("a socket");
        assert_eq!(read_all(&ours), b"TWO");
        assert!(process.wait().success());
    }
}

fn u09_the_output_of_one_socket_is_ended_while_its_input_goes_on(backend: &str) {
    let (ours, input, output) = socket();
    let (errors, output_of_errors) = pipe();
    let process = Process::with_errors(backend, "over", input, output, output_of_errors);
    assert_eq!(read_all(&ours), b"over");
    write(&ours, b"still listening");
    ours.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(read_all(&errors), b"still listening");
    assert!(process.wait().success());
}

/// The parent's own copy of the child's end stays open: nothing but the end of the direction tells.
fn u09_one_socket_ends_with_the_program_though_its_parent_keeps_it(backend: &str) {
    let (ours, input, output) = socket();
    let kept = output.try_clone().expect("a descriptor");
    let (errors, output_of_errors) = pipe();
    let process = Process::with_errors(backend, "over", input, output, output_of_errors);
    assert_eq!(read_all(&ours), b"over");
    drop(ours);
    assert_eq!(read_all(&errors), b"");
    assert!(process.wait().success());
    drop(kept);
}

fn u09_each_may_be_a_socket_of_its_own(backend: &str) {
    let (to_child, input) = UnixStream::pair().expect("sockets");
    let (from_child, output) = UnixStream::pair().expect("sockets");
    let (errors, output_of_errors) = pipe();
    let input: OwnedFd = input.into();
    let process = Process::with_errors(backend, "over", input, OwnedFd::from(output), output_of_errors);
    assert_eq!(read_all(&from_child), b"over");
    write(&to_child, b"still listening");
    drop(to_child);
    assert_eq!(read_all(&errors), b"still listening");
    assert!(process.wait().success());
}
