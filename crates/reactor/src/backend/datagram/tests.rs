use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;

use super::socket::Layout;
use super::{DatagramQueue, Datagrams, each};
use crate::address::{Address, UnixAddress};
use crate::backend::SystemCalls;

const LAYOUT: Layout = Layout { slot: 100, count: 4, has_end: false };

/// What both ways to call the system have in common.
struct Way {
    receive: fn(&UdpSocket, &mut Datagrams, &mut SystemCalls) -> Result<usize, Errno>,
    send: fn(&UdpSocket, &DatagramQueue, &mut SystemCalls) -> io::Result<usize>,
    /// How many calls move four datagrams.
    calls: u64,
}

fn nobody() -> Address {
    UnixAddress::unnamed().into()
}

fn ways() -> Vec<Way> {
    let one_each = Way {
        receive: |socket, batch, calls| {
            let last = &mut each::LastSender;
            each::receive(socket.as_fd(), &mut each::Arrays, batch, LAYOUT, (&nobody(), last), calls)
        },
        send: |socket, queue, calls| each::send(socket.as_fd(), queue, calls),
        calls: 4,
    };
    #[cfg(target_os = "linux")]
    let many = Way {
        receive: |socket, batch, calls| {
            let (mut arrays, mut last) = (super::many::Arrays::default(), super::many::LastSender::default());
            super::many::receive(socket.as_fd(), &mut arrays, batch, LAYOUT, (&nobody(), &mut last), calls)
        },
        send: |socket, queue, calls| super::many::send(socket.as_fd(), queue, calls),
        calls: 1,
    };
    vec![
        one_each,
        #[cfg(target_os = "linux")]
        many,
    ]
}

fn socket() -> (UdpSocket, Address) {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap().into();
    (socket, address)
}

#[test]
fn both_ways_move_the_same_and_differ_in_their_calls() {
    for way in ways() {
        let ((one, from), (other, to)) = (socket(), socket());
        let (mut queue, mut calls) = (DatagramQueue::default(), SystemCalls::default());
        let long = [7; 101];
        let all: [&[u8]; 4] = [b"one", b"", &long, &long[1..]];
        all.iter().for_each(|bytes| queue.push(bytes, Some(&to)));
        assert_eq!((way.send)(&one, &queue, &mut calls).unwrap(), 4);
        let mut batch = Datagrams::default();
        assert_eq!((way.receive)(&other, &mut batch, &mut calls), Ok(4));
        assert_eq!((calls.sends, calls.receives), (way.calls, way.calls));
        let seen: Vec<_> = batch.iter().map(|datagram| (datagram.bytes, datagram.is_cut)).collect();
        assert_eq!(seen, [(all[0], false), (all[1], false), (all[3], true), (all[3], false)]);
        assert!(batch.iter().all(|datagram| *datagram.sender == from));
        assert_eq!((way.receive)(&other, &mut batch, &mut calls), Err(Errno::AGAIN));
    }
}

#[test]
fn a_batch_is_sent_up_to_the_first_that_is_refused() {
    for way in ways() {
        let ((one, _), (_other, to)) = (socket(), socket());
        let (mut queue, mut calls) = (DatagramQueue::default(), SystemCalls::default());
        queue.push(b"fine", Some(&to));
        queue.push(&vec![0; 66_000], Some(&to));
        queue.push(b"fine, too", Some(&to));
        assert_eq!((way.send)(&one, &queue, &mut calls).unwrap(), 1);
        queue.pop(1);
        let refused = (way.send)(&one, &queue, &mut calls).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        queue.pop(1);
        assert_eq!((way.send)(&one, &queue, &mut calls).unwrap(), 1);
        // What is no address is refused before any call.
        let mut queue = DatagramQueue::default();
        queue.push(b"to whom?", Some(&nobody()));
        queue.push(b"to whom?", Some(&nobody()));
        assert_eq!((way.send)(&one, &queue, &mut calls).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// The lengths of names are the system's to say, each time anew: a sender without a name is not taken for the one before.
#[cfg(target_os = "linux")]
#[test]
fn names_do_not_outlive_their_call() {
    let folder = std::env::temp_dir().join(format!("marline-names-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (to, from) = (folder.join("to"), folder.join("from"));
    let receiver = UnixDatagram::bind(&to).unwrap();
    let (named, nameless) = (UnixDatagram::bind(&from).unwrap(), UnixDatagram::unbound().unwrap());
    let (mut arrays, mut last) = (super::many::Arrays::default(), super::many::LastSender::default());
    let mut calls = SystemCalls::default();
    for sender in [&named, &nameless, &named] {
        sender.send_to(b"x", &to).unwrap();
        let mut batch = Datagrams::default();
        let senders = (&nobody(), &mut last);
        let received =
            super::many::receive(receiver.as_fd(), &mut arrays, &mut batch, LAYOUT, senders, &mut calls);
        assert_eq!(received, Ok(1));
        let is_named = std::ptr::eq(sender, &raw const named);
        let expected = if is_named { UnixAddress::path(&from).into() } else { nobody() };
        assert_eq!(*batch.get(0).unwrap().sender, expected);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_queue_keeps_its_order_and_forgets_what_was_sent() {
    let mut queue = DatagramQueue::default();
    let mut sent = Vec::new();
    for round in 0..50_usize {
        for number in 0..7 {
            queue.push(&vec![u8::try_from(round).unwrap(); round * number], None);
        }
        let first: Vec<_> = queue.iter().take(5).map(|(bytes, _)| bytes.to_vec()).collect();
        queue.pop(first.len());
        sent.extend(first);
    }
    sent.extend(queue.iter().map(|(bytes, _)| bytes.to_vec()));
    queue.pop(usize::MAX);
    assert!(queue.is_empty() && queue.size() == 0);
    let expected = (0..50).flat_map(|round| (0..7).map(move |number| (round, round * number)));
    let is_so = |(bytes, (round, len)): (&Vec<u8>, (usize, usize))| {
        bytes.len() == len && bytes.iter().all(|byte| usize::from(*byte) == round)
    };
    assert!(sent.len() == 350 && sent.iter().zip(expected).all(is_so));
}
