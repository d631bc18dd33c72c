//! Sends and receives, back-pressure, and what they cost.

use super::*;

#[test]
fn bytes_arrive_in_order_and_dry_follows_the_last() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    assert_eq!(host.receive(ONE), "(dry)");
    peer.write(b"ab");
    peer.write(b"cd");
    assert_eq!(host.turn(), ["input 1"]);
    assert_eq!(host.receive(ONE), "abcd");
    assert_eq!(host.receive(ONE), "(dry)");
    assert_eq!(host.send(ONE, b"hello"), "5");
    assert_eq!(peer.read_up_to(2), b"he");
    assert_eq!((peer.buffered(), peer.read()), (3, b"llo".to_vec()));
}

#[test]
fn input_is_announced_once_until_the_loop_has_seen_dry() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"a");
    peer.write(b"b");
    assert_eq!(host.turn(), ["input 1"]);
    assert_eq!(host.receive(ONE), "ab");
    peer.write(b"c");
    assert!(host.turn().is_empty(), "the loop has to go on until dry");
    assert_eq!(host.receive(ONE), "c");
    assert_eq!(host.receive(ONE), "(dry)");
    peer.write(b"d");
    assert_eq!(host.turn(), ["input 1"]);
}

#[test]
fn r13_bytes_go_straight_into_memory_of_the_callers() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"hello");
    let mut memory = [0; 3];
    assert!(matches!(host.memory.receive(ONE, Some(&mut memory)), Received::Filled(3)));
    assert_eq!(&memory, b"hel");
    assert_eq!(host.receive(ONE), "lo");
}

#[test]
fn a_send_takes_what_fits_and_the_next_waits_for_room() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.network.set_capacity(4);
    assert_eq!(host.send(ONE, b"abcdef"), "4");
    assert_eq!(host.send(ONE, b"ef"), "pending");
    assert!(host.turn().is_empty());
    assert_eq!(peer.read_up_to(1), b"a");
    assert_eq!(host.turn(), ["sent 1 1"]);
    assert_eq!(peer.read(), b"bcde");
    assert_eq!(host.send(ONE, b"f"), "1");
}

#[test]
fn the_peer_writes_only_what_fits_and_more_capacity_helps() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.network.set_capacity(3);
    assert_eq!((peer.write(b"abcd"), peer.write(b"d"), peer.unread()), (3, 0, 3));
    assert_eq!(host.receive(ONE), "abc");
    assert_eq!(peer.write(b"d"), 1);
    assert_eq!(host.send(ONE, b"123"), "3");
    assert_eq!(host.send(ONE, b"45"), "pending");
    host.network.set_capacity(9);
    assert_eq!(host.turn(), ["input 1", "sent 1 2"]);
    assert_eq!(peer.read(), b"12345");
}

#[test]
fn two_backends_press_back_on_each_other() {
    let (network, clock) = (Network::new(Choices::tame()), Clock::new());
    network.set_capacity(2);
    let (mut server, mut client) = (Host::on(&network, &clock), Host::on(&network, &clock));
    let address = server.listen(LISTENER, "[::1]:0");
    client.connect(ONE, &address);
    assert_eq!(client.turn(), ["connected 1"]);
    assert_eq!(client.send(ONE, b"abc"), "2");
    assert_eq!(client.send(ONE, b"c"), "pending");
    assert_eq!(server.turn(), ["input 0"]);
    server.accept(TWO);
    assert_eq!(server.turn(), ["input 2"]);
    assert_eq!(server.receive(TWO), "ab");
    assert_eq!(client.turn(), ["sent 1 1"]);
    assert_eq!(server.receive(TWO), "c");
}

#[test]
fn w07_more_segments_than_one_send_takes_are_sent_by_the_next() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    let mut outgoing = Box::new(Outgoing::default());
    (0..100).for_each(|_| outgoing.push_owned(bytes::Bytes::from_static(b"ab")));
    let mut rounds = 0;
    while !outgoing.is_empty() {
        let Started::Done(mut sent) = host.memory.send(ONE, outgoing) else { panic!("there is room") };
        sent.outgoing.advance(sent.result.unwrap(), &mut Vec::new());
        outgoing = sent.outgoing;
        rounds += 1;
    }
    assert_eq!((peer.read(), rounds), (b"ab".repeat(100), 2));
}

#[test]
fn the_memory_of_chunks_comes_back_and_is_used_again() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    let mut receive = || {
        peer.write(b"ping");
        match host.memory.receive(ONE, None) {
            Received::Chunk(chunk) => {
                let place = chunk.bytes().as_ptr();
                host.memory.release(chunk);
                place
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(receive(), receive());
}

#[test]
fn several_chunks_may_be_lent_at_once() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.network.set_chunking(Chunking::Fixed(1));
    peer.write(b"ab");
    let (first, second) = (host.memory.receive(ONE, None), host.memory.receive(ONE, None));
    let (Received::Chunk(first), Received::Chunk(second)) = (first, second) else {
        panic!("two bytes have arrived")
    };
    assert_eq!((first.bytes(), second.bytes()), (&b"a"[..], &b"b"[..]));
    host.memory.release(first);
    host.memory.release(second);
}

#[test]
fn calls_are_counted_as_a_kernel_would_see_them() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    assert_eq!(host.receive(ONE), "(dry)");
    let before = host.memory.system_calls();
    for _ in 0..3 {
        peer.write(b"ping");
        host.turn();
        assert_eq!(host.receive(ONE), "ping");
        assert_eq!(host.receive(ONE), "(dry)");
        assert_eq!(host.send(ONE, b"pong"), "4");
    }
    let after = host.memory.system_calls();
    assert_eq!((after.receives - before.receives, after.sends - before.sends), (3, 3));
    assert_eq!((after.waits - before.waits, after.accepts), (3, 1));
    assert_eq!((after.registrations, before.registrations), (2, 2));
}
