//! Pipes, as in a pipeline.

use std::io::Write as _;

use marline_tests::files::Folder;

use crate::child::{Process, await_no_reader, pipe, read_all, read_until, write};
use crate::on_sockets;

on_sockets! {
    u09_what_is_read_is_answered_until_the_end
    u09_tasks_read_and_write_too
    u09_half_close_reaches_the_parent_although_the_program_lives_on
    u09_the_last_write_reaches_the_parent
    u09_a_program_ends_although_its_input_does_not
    u09_a_named_pipe_whose_writer_is_gone_ends
    u09_a_reader_that_is_gone_ends_the_program
}

fn u09_what_is_read_is_answered_until_the_end(backend: &str) {
    answers(backend, "shout");
}

fn u09_tasks_read_and_write_too(backend: &str) {
    answers(backend, "await");
}

fn answers(backend: &str, way: &str) {
    let ((input, to_child), (from_child, output)) = (pipe(), pipe());
    let process = Process::start(backend, way, input, output);
    write(&to_child, b"one ");
    assert_eq!(read_until(&from_child, b" "), b"ONE ");
    let payload = vec![b'x'; 1024 * 1024];
    let expected = payload.to_ascii_uppercase();
    let writer = std::thread::spawn(move || write(&to_child, &payload));
    assert!(read_all(&from_child) == expected);
    writer.join().expect("a thread");
    assert!(process.wait().success());
}

fn u09_half_close_reaches_the_parent_although_the_program_lives_on(backend: &str) {
    let ((input, to_child), (from_child, output), (errors, output_of_errors)) = (pipe(), pipe(), pipe());
    let process = Process::with_errors(backend, "over", input, output, output_of_errors);
    assert_eq!(read_all(&from_child), b"over");
    write(&to_child, b"still listening");
    drop(to_child);
    assert_eq!(read_all(&errors), b"still listening");
    assert!(process.wait().success());
}

fn u09_the_last_write_reaches_the_parent(backend: &str) {
    let ((input, _to_child), (from_child, output)) = (pipe(), pipe());
    let process = Process::start(backend, "last", input, output);
    assert_eq!(read_all(&from_child).len(), 1024 * 1024);
    assert!(process.wait().success());
}

fn u09_a_program_ends_although_its_input_does_not(backend: &str) {
    let ((input, _to_child), (from_child, output)) = (pipe(), pipe());
    let process = Process::start(backend, "leave", input, output);
    assert!(process.wait().success());
    assert_eq!(read_all(&from_child), b"here");
}

/// Whoever opens such a pipe when its last writer is gone is not told of the end by the system.
fn u09_a_named_pipe_whose_writer_is_gone_ends(backend: &str) {
    let folder = Folder::new("stdio");
    let path = folder.path("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    // Both at once, as each alone would wait for the other.
    let mut both = std::fs::File::options().read(true).write(true).open(&path).expect("a pipe");
    let input = std::fs::File::open(&path).expect("a pipe");
    both.write_all(b"gone").expect("room");
    drop(both);
    let (from_child, output) = pipe();
    let process = Process::start(backend, "shout", input, output);
    assert_eq!(read_all(&from_child), b"GONE");
    assert!(process.wait().success());
}

fn u09_a_reader_that_is_gone_ends_the_program(backend: &str) {
    let ((input, to_child), (from_child, output), (errors, output_of_errors)) = (pipe(), pipe(), pipe());
    let seen_by_child = output.try_clone().expect("a descriptor");
    let process = Process::with_errors(backend, "shout", input, output, output_of_errors);
    write(&to_child, b"one ");
    assert_eq!(read_until(&from_child, b" "), b"ONE ");
    drop(from_child);
    // A child that another test starts just now has it, too, until it executes its program.
    await_no_reader(&seen_by_child);
    write(&to_child, b"two");
    assert_eq!(read_all(&errors), b"ConnectionReset, 3 unsent\n");
    assert!(process.wait().success());
    drop(to_child);
}
