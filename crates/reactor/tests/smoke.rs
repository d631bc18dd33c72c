//! A first breath.
#![allow(missing_docs)]
use marline_reactor::*;
use std::io::{Read, Write};

#[test]
fn echo() {
    let reactor = Reactor::new().unwrap();
    let handle = reactor.handle();
    let server = handle
        .listen("tcp://127.0.0.1:0", |_: &Addresses| {
            |t: &Transport, d: &[u8]| {
                t.write(d);
            }
        })
        .unwrap();
    let address = server.local_address().unwrap().as_inet().unwrap();
    let remote = handle.remote();
    let thread = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut buffer = [0; 64];
        for _ in 0..1000 {
            stream.write_all(&[7; 64]).unwrap();
            stream.read_exact(&mut buffer).unwrap();
        }
        drop(stream);
        let local = remote.clone();
        assert!(remote.post(move || local.local().unwrap().shutdown()).is_ok());
    });
    reactor.run().unwrap();
    thread.join().unwrap();
    println!("{:?}", handle.stats());
}
