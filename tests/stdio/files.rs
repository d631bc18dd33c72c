//! Regular files and devices.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Stdio;

use crate::child::{Process, pipe, read_all};
use crate::on_sockets;

on_sockets! {
    u10_output_may_be_a_regular_file_and_goes_where_it_stands
    u10_output_is_appended_to_a_file_that_says_so
    u10_a_full_disk_is_an_error
    u10_input_and_output_may_be_nothing
}

fn file() -> File {
    rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).expect("a file").into()
}

fn copy(file: &File) -> File {
    file.try_clone().expect("a descriptor")
}

fn contents(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a file");
    file.read_to_end(&mut bytes).expect("a file");
    bytes
}

fn u10_output_may_be_a_regular_file_and_goes_where_it_stands(backend: &str) {
    let (mut input, mut output) = (file(), file());
    input.write_all(b"read before, and what is left").expect("room");
    input.seek(SeekFrom::Start(13)).expect("a file");
    output.write_all(b"written before; ").expect("room");
    let process = Process::start(backend, "shout", copy(&input), copy(&output));
    assert!(process.wait().success());
    // The offset is shared, so what the next program writes comes after it.
    output.write_all(b"; written after").expect("room");
    assert_eq!(contents(output), b"written before; AND WHAT IS LEFT; written after");
    assert_eq!(input.stream_position().expect("a file"), 29);
}

fn u10_output_is_appended_to_a_file_that_says_so(backend: &str) {
    let mut first = file();
    first.write_all(b"first, ").expect("room");
    let (mut input, appended) = (file(), copy(&first));
    input.write_all(b"second").expect("room");
    input.seek(SeekFrom::Start(0)).expect("a file");
    rustix::fs::fcntl_setfl(&appended, rustix::fs::OFlags::APPEND | rustix::fs::OFlags::RDWR)
        .expect("a file");
    first.seek(SeekFrom::Start(0)).expect("a file");
    assert!(Process::start(backend, "shout", input, appended).wait().success());
    assert_eq!(contents(first), b"first, SECOND");
}

fn u10_a_full_disk_is_an_error(backend: &str) {
    let full = File::options().write(true).open("/dev/full").expect("a device");
    let mut input = file();
    input.write_all(b"too much").expect("room");
    input.seek(SeekFrom::Start(0)).expect("a file");
    let (errors, output_of_errors) = pipe();
    let process = Process::with_errors(backend, "shout", input, full, output_of_errors);
    assert_eq!(read_all(&errors), b"StorageFull, 8 unsent\n");
    assert!(process.wait().success());
}

fn u10_input_and_output_may_be_nothing(backend: &str) {
    for way in ["shout", "await", "last", "leave"] {
        let process = Process::start(backend, way, Stdio::null(), Stdio::null());
        assert!(process.wait().success(), "{way}");
    }
}
