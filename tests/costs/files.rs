//! What sending files costs: how often they are read, and how many calls that takes.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use marline_reactor::{Addresses, Lost, Protocol, Stats, Transport};
use marline_tests::backends;
use marline_tests::files::file_of;
use rustix::time::{ClockId, clock_gettime};

const MIB: usize = 1024 * 1024;
const SIZE: usize = 32 * MIB;

/// Sends a file to whoever comes, and stops the loop.
#[derive(Clone)]
struct Sender {
    file: Arc<File>,
}

impl Protocol for Sender {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"!");
        transport.send_file(self.file.clone(), ..).expect("a file");
        transport.close();
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        assert!(lost.is_clean(), "{lost:?}");
        transport.handle().stop();
    }
}

/// The same by reading and writing.
#[derive(Clone)]
struct Copier {
    file: Arc<File>,
    offset: u64,
}

impl Copier {
    fn copy(&mut self, transport: &Transport) {
        for _ in 0..4 {
            let mut piece = vec![0; 64 * 1024];
            let count = self.file.read_at(&mut piece, self.offset).expect("a piece");
            if count == 0 {
                return transport.close();
            }
            piece.truncate(count);
            self.offset += count as u64;
            transport.write_owned(piece);
        }
        transport.notify_drained();
    }
}

impl Protocol for Copier {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"!");
        self.copy(transport);
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn drained(&mut self, transport: &Transport) {
        self.copy(transport);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        assert!(lost.is_clean(), "{lost:?}");
        transport.handle().stop();
    }
}

/// Lets a protocol send a file to a client in another thread.
fn send<P: Protocol + Clone>(backend: &str, protocol: P, size: usize) -> Stats {
    let reactor = backends::reactor(backend);
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| protocol.clone());
    let address = server.expect("a listener").local_address().and_then(|address| address.as_inet());
    let address = address.expect("an address");
    let client = thread::spawn(move || -> io::Result<usize> {
        let (mut stream, mut buffer) = (TcpStream::connect(address)?, vec![0; MIB]);
        let mut received = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(received),
                count => received += count,
            }
        }
    });
    reactor.run().expect("a run");
    assert_eq!(client.join().expect("no panic").expect("the file"), size + 1);
    reactor.handle().stats()
}

fn w31_a_file_is_passed_on_or_read_in_large_pieces(backend: &str) {
    let stats = send(backend, Sender { file: Arc::new(file_of(&vec![7; SIZE])) }, SIZE);
    let calls = stats.system_calls;
    let each = |count: u64| count * MIB as u64 / SIZE as u64;
    println!("per MiB: {} reads, {} sends; {calls:?}", each(stats.file_reads), each(stats.sends));
    if backend == "readiness" {
        // The system has the bytes, and we never do.
        assert_eq!(stats.file_reads, 0, "{stats:?}");
    } else {
        assert_eq!(stats.file_reads, (SIZE / (64 * 1024)) as u64, "{stats:?}");
    }
    // A peer who makes little room at a time makes more calls necessary; even so each moves a good piece.
    assert!(stats.sends <= (SIZE / (8 * 1024)) as u64, "{stats:?}");
    assert!(calls.sends + calls.waits + calls.others <= (SIZE / 2048) as u64, "{calls:?}");
}

/// A measurement of its own: `cargo test --release -p marline-tests --test costs -- --ignored --nocapture gibibyte`.
#[test]
#[ignore = "a gibibyte, several times"]
fn w31_a_gibibyte_is_sent_in_less_time_than_it_is_copied() {
    const GIBIBYTE: usize = 1024 * MIB;
    let file = Arc::new(file_of(&vec![7; GIBIBYTE]));
    for backend in backends::here() {
        let mut spent = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            let sender = Sender { file: file.clone() };
            spent[0].push(timed(|| send(backend, sender, GIBIBYTE)));
            let copier = Copier { file: file.clone(), offset: 0 };
            spent[1].push(timed(|| send(backend, copier, GIBIBYTE)));
        }
        // Of processor time in the loop's thread, and of all time.
        let [(cpu, all), (copied_cpu, copied_all)] = spent.map(|runs| median(&runs));
        println!("{backend}: send_file {cpu:.3} s of the processor in {all:.3} s");
        println!("{backend}: read and write {copied_cpu:.3} s in {copied_all:.3} s");
        println!("{backend}: {:.2} of the processor, {:.2} of the time", cpu / copied_cpu, all / copied_all);
        assert!(backend != "readiness" || cpu < copied_cpu, "{cpu} s, and {copied_cpu} s");
    }
}

/// Seconds of the processor's in this thread, and of everybody's.
fn timed(run: impl FnOnce() -> Stats) -> (f64, f64) {
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (begun, before) = (Instant::now(), cpu());
    println!("{:?}", run().system_calls);
    (cpu() - before, begun.elapsed().as_secs_f64())
}

fn median(runs: &[(f64, f64)]) -> (f64, f64) {
    let middle = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (middle(runs.iter().map(|run| run.0).collect()), middle(runs.iter().map(|run| run.1).collect()))
}

marline_tests::on_sockets! {
    w31_a_file_is_passed_on_or_read_in_large_pieces
}
