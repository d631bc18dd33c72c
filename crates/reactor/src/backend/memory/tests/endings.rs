//! Ends, resets and closes.

use super::*;

fn shutdown(host: &mut Host) {
    assert!(matches!(host.memory.shutdown(ONE), Started::Done(Ok(()))));
}

#[test]
fn h01_the_end_comes_after_all_bytes() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"last");
    peer.finish();
    assert_eq!(host.turns(), ["input 1"]);
    assert_eq!(host.receive(ONE), "last");
    assert_eq!(host.receive(ONE), "(eof)");
    assert_eq!(host.receive(ONE), "(eof)");
    assert_eq!(host.send(ONE, b"still"), "5");
    assert_eq!((peer.read(), peer.is_closed()), (b"still".to_vec(), false));
}

#[test]
fn an_end_is_announced_to_a_loop_that_waits_for_it() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    assert_eq!(host.receive(ONE), "(dry)");
    peer.finish();
    peer.finish();
    assert_eq!(host.turns(), ["input 1"]);
    assert_eq!(host.receive(ONE), "(eof)");
}

#[test]
fn h04_our_end_follows_our_bytes_and_we_still_receive() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.send(ONE, b"bye");
    shutdown(&mut host);
    assert_eq!(host.send(ONE, b"late"), "BrokenPipe");
    assert!(!peer.is_finished());
    assert_eq!(peer.read(), b"bye");
    assert!(peer.is_finished());
    peer.write(b"answer");
    assert_eq!(host.receive(ONE), "answer");
    assert!(!peer.is_closed());
}

#[test]
fn s33_a_reset_overtakes_the_bytes_and_is_never_an_end() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"lost");
    peer.reset();
    assert_eq!(host.turns(), ["input 1"]);
    assert_eq!(host.receive(ONE), "(ConnectionReset)");
    assert_eq!(host.send(ONE, b"x"), "ConnectionReset");
    assert_eq!(host.send(ONE, b"x"), "BrokenPipe");
    assert_eq!(host.close(ONE, Close::Orderly), "done");
}

#[test]
fn a_reset_is_announced_even_to_a_loop_that_has_not_pulled() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"unread");
    assert_eq!(host.turns(), ["input 1"]);
    peer.reset();
    assert_eq!(host.turns(), ["input 1"]);
}

#[test]
fn a_reset_fails_the_pending_send() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.network.set_capacity(1);
    host.send(ONE, b"ab");
    assert_eq!(host.send(ONE, b"b"), "pending");
    peer.reset();
    assert_eq!(host.turns(), ["sent 1 ConnectionReset", "input 1"]);
    assert_eq!(host.send(ONE, b"b"), "BrokenPipe");
}

#[test]
fn s27_an_orderly_close_shows_the_peer_an_end() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.send(ONE, b"bye");
    assert_eq!(host.close(ONE, Close::Orderly), "done");
    assert!(peer.is_closed() && !peer.is_reset());
    assert_eq!(peer.read(), b"bye");
    assert!(peer.is_finished());
    assert!(host.turns().is_empty());
}

#[test]
fn a_close_with_unread_bytes_shows_the_peer_a_reset() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"unread");
    assert_eq!(host.close(ONE, Close::Orderly), "done");
    assert!(peer.is_reset());
    assert!(host.turns().is_empty(), "the notice died with the connection");
}

#[test]
fn the_scripted_peers_close_does_the_same() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.send(ONE, b"unread");
    peer.close();
    assert!(peer.is_closed() && !peer.is_connected());
    assert_eq!((peer.write(b"x"), peer.read()), (0, Vec::new()));
    assert_eq!(host.receive(ONE), "(ConnectionReset)");

    let (mut host, peer) = Host::with_peer(Choices::tame());
    drop(peer);
    assert_eq!(host.receive(ONE), "(eof)");
}

#[test]
fn s26_a_reset_close_shows_the_peer_a_reset_and_drops_what_was_sent() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.send(ONE, b"lost");
    assert_eq!(host.close(ONE, Close::Reset), "done");
    assert!(peer.is_reset() && peer.is_closed());
    assert_eq!(peer.read(), b"");
}

#[test]
fn s29_a_close_answers_the_pending_send_first() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.network.set_capacity(1);
    host.send(ONE, b"ab");
    assert_eq!(host.send(ONE, b"b"), "pending");
    assert_eq!(host.close(ONE, Close::Reset), "pending");
    assert_eq!(host.network.sockets(), 1, "only the listener");
    assert_eq!(host.turns(), ["sent 1 ConnectionAborted", "closed 1"]);
    assert!(peer.is_reset());
}

#[test]
fn bytes_for_a_closed_end_are_answered_with_a_reset() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.close();
    assert_eq!(host.turns(), ["input 1"]);
    assert_eq!(host.receive(ONE), "(eof)");
    assert_eq!(host.send(ONE, b"hello?"), "6");
    assert_eq!(host.turns(), ["input 1"]);
    assert_eq!(host.send(ONE, b"hello?"), "ConnectionReset");
}

#[test]
fn h07_both_directions_may_end_in_either_order() {
    for ours_first in [true, false] {
        let (mut host, peer) = Host::with_peer(Choices::tame());
        if ours_first {
            shutdown(&mut host);
        }
        peer.finish();
        assert_eq!(host.receive(ONE), "(eof)");
        if !ours_first {
            shutdown(&mut host);
        }
        assert!(peer.is_finished() && !peer.is_closed());
        assert_eq!(host.close(ONE, Close::Orderly), "done");
        assert!(peer.is_closed() && !peer.is_reset());
    }
}

#[test]
fn r15_a_watched_peers_end_is_told_once_whether_or_not_bytes_wait() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.memory.watch_peer(ONE);
    peer.write(b"unread");
    assert_eq!(host.turns(), ["input 1"]);
    peer.finish();
    assert_eq!(host.turns(), ["peer closed 1 reset=false"]);
    peer.reset();
    assert_eq!(host.turns(), ["input 1"]);

    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.reset();
    host.memory.watch_peer(ONE);
    assert_eq!(host.turns(), ["input 1", "peer closed 1 reset=true"]);
}

#[test]
fn a_dropped_backend_closes_what_is_open() {
    let (host, peer) = Host::with_peer(Choices::tame());
    let network = host.network.clone();
    drop(host);
    assert!(peer.is_closed() && !peer.is_reset());
    assert_eq!((network.sockets(), network.pending()), (0, false));
}

#[test]
fn dropping_lent_bytes_may_call_back_into_the_network() {
    struct Nosy(Vec<u8>, std::thread::ThreadId);
    std::thread_local! {
        static NETWORK: std::cell::RefCell<Option<Network>> = const { std::cell::RefCell::new(None) };
    }
    impl AsRef<[u8]> for Nosy {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            assert_eq!(self.1, std::thread::current().id());
            NETWORK.with_borrow(|network| assert_eq!(network.as_ref().map(Network::sockets), Some(0)));
        }
    }
    let (mut host, _peer) = Host::with_peer(Choices::tame());
    NETWORK.set(Some(host.network.clone()));
    host.network.set_capacity(1);
    host.send(ONE, b"x");
    let mut outgoing = Box::new(Outgoing::default());
    let nosy = Nosy(vec![1; 9], std::thread::current().id());
    outgoing.push_owned(bytes::Bytes::from_owner(nosy));
    assert!(matches!(host.memory.send(ONE, outgoing), Started::Pending));
    drop(host);
}
