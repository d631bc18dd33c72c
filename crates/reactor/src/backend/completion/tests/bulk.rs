//! Connections that bring much at a time.

use std::net::Shutdown;

use super::super::bulk::{Bulk, MOST, MUCH, NEVER};
use super::super::connection::{EOF_PULLED, RECEIVING};
use super::*;

/// More than a receive brings before it is seen whether there is much at a time.
const LOT: usize = 100 * 1024;

/// With a connection in bulk, of which everything was pulled.
fn in_bulk(options: &Options) -> Option<(Rig, Key, TcpStream)> {
    let mut rig = Rig::with(options)?;
    let (key, mut peer) = rig.connection();
    // Room for a whole burst.
    SockRef::from(rig.at(key).socket().expect("a socket")).set_recv_buffer_size(1 << 20).unwrap();
    let (data, mut tries) = (pattern(0, LOT), 0);
    // It arrives in pieces of the system's making.
    while rig.at(key).bulk != Bulk::Dry {
        tries += 1;
        assert!(tries < 100, "it is not seen that this is much");
        peer.write_all(&data).unwrap();
        rig.settle();
        assert!(rig.receive_all(key, LOT) == data, "the bytes differ");
    }
    rig.settle();
    Some((rig, key, peer))
}

/// With and without what tells that there is much.
fn each() -> impl Iterator<Item = (Rig, Key, TcpStream)> {
    let whole = Options::default();
    [whole.clone(), whole.clone().without(Feature::Credit), whole.bulk(0)]
        .into_iter()
        .filter_map(|options| in_bulk(&options))
}

#[test]
fn what_nobody_pulls_stays_in_the_kernel() {
    for (mut rig, key, peer) in each() {
        let data = pattern(1, 64 * 1024 * 1024);
        let mut written = 0;
        loop {
            let count = write_some(&peer, &data[written..]);
            written += count;
            rig.settle();
            if count == 0 {
                break;
            }
        }
        assert!(written < data.len(), "somebody took all of it");
        assert_eq!((rig.at(key).input_len(), rig.at(key).bulk), (0, Bulk::Ready));
        assert!(!rig.at(key).is(RECEIVING), "nothing is under way");
        rig.assert_sleeps();
        assert!(rig.receive_all(key, written) == data[..written], "the bytes differ");
    }
}

#[test]
fn little_is_left_to_the_ring_again() {
    let Some((mut rig, key, mut peer)) = in_bulk(&Options::default()) else { return };
    let calls = rig.backend.calls.receives;
    peer.write_all(b"a few").unwrap();
    assert_eq!(rig.receive_all(key, 5), b"a few");
    assert_eq!((rig.at(key).bulk, rig.backend.calls.receives), (Bulk::Off, calls + 1));
    peer.write_all(b"and more").unwrap();
    assert_eq!(rig.receive_all(key, 8), b"and more");
    assert_eq!(rig.backend.calls.receives, calls + 1, "by the ring");
}

/// The rest of much is not little.
#[test]
fn a_short_rest_changes_nothing() {
    let Some((mut rig, key, mut peer)) = in_bulk(&Options::default()) else { return };
    // As much as one receive takes, and a byte: a whole receive, and a short one. Or nothing besides: one that finds nothing.
    for rest in [1, 0] {
        let data = pattern(2, MOST + rest);
        peer.write_all(&data).unwrap();
        let deadline = rig.backend.now() + PATIENCE;
        while rustix::io::ioctl_fionread(rig.at(key).socket().expect("a socket")).unwrap() < data.len() as u64
        {
            assert!(rig.backend.now() < deadline, "it does not arrive");
        }
        rig.settle();
        assert!(rig.receive_all(key, data.len()) == data, "the bytes differ");
        assert_eq!(rig.at(key).bulk, Bulk::Dry);
    }
}

/// Whoever takes little at a time makes no call for each, and is not tried again and again.
#[test]
fn little_memory_ends_it_for_as_long_as_it_is_little() {
    for options in [Options::default(), Options::default().without(Feature::Credit)] {
        let Some((mut rig, key, peer)) = in_bulk(&options) else { return };
        let data = pattern(3, 16 * 1024 * 1024);
        let (calls, mut seen, mut written) = (rig.backend.calls.receives, Vec::new(), 0);
        let mut memory = vec![0; MUCH - 1];
        while seen.len() < data.len() {
            written += write_some(&peer, &data[written..]);
            match rig.backend.receive(key, Some(&mut memory)) {
                Received::Filled(count) => seen.extend_from_slice(&memory[..count]),
                Received::Dry => rig.input(key),
                other => panic!("{other:?}"),
            }
        }
        assert!(seen == data, "the bytes differ");
        assert_eq!((rig.backend.calls.receives, rig.at(key).bulk), (calls + 1, Bulk::Little));
        // Much memory begins it anew.
        written = 0;
        let mut rest = Vec::new();
        while rig.at(key).bulk != Bulk::Dry {
            written += write_some(&peer, &data[written..written + LOT]);
            rig.settle();
            rig.pull(key, &mut rest);
        }
        assert!(rest == data[..rest.len()], "the bytes differ");
    }
}

/// A poll needs no buffer.
#[test]
fn who_is_in_bulk_is_served_while_the_pool_is_lent_out() {
    let Some((mut rig, key, mut peer)) = in_bulk(&Options::default()) else { return };
    let (mut chunks, mut others) = (Vec::new(), Vec::new());
    while rig.backend.buffers.provided() > 0 {
        // Each gives what one receive brings into the pool.
        let (other, mut sender) = rig.connection();
        sender.write_all(&pattern(6, MOST)).unwrap();
        // Pulled at once, as what waits is copied out of the pool.
        let mut left = MOST;
        while left > 0 && rig.backend.buffers.provided() > 0 {
            rig.backend.wait(until(Instant::ZERO)).unwrap();
            while rig.backend.next().is_some() {}
            while let Received::Chunk(chunk) = rig.backend.receive(other, None) {
                left -= chunk.bytes().len();
                chunks.push(chunk);
            }
        }
        others.push(sender);
        assert!(others.len() < 200, "{} buffers are left", rig.backend.buffers.provided());
    }
    // Somebody waits for a buffer, and came before it.
    let (waiting, mut sender) = rig.connection();
    sender.write_all(b"without a buffer").unwrap();
    rig.settle();
    assert!(matches!(rig.backend.receive(waiting, None), Received::Dry));
    let data = pattern(7, LOT);
    peer.write_all(&data).unwrap();
    assert!(rig.receive_all(key, LOT) == data, "the bytes differ");
    rig.assert_sleeps();
    chunks.into_iter().for_each(|chunk| rig.backend.release(chunk));
    assert_eq!(rig.receive_all(waiting, 16), b"without a buffer");
}

#[test]
fn the_size_is_cut_to_what_shows() {
    for (asked, much) in [(0, 0), (5000, 5000), (MOST, MOST), (1 << 20, MOST), (usize::MAX, NEVER)] {
        let Some(rig) = Rig::with(&Options::default().bulk(asked)) else { return };
        assert_eq!(rig.backend.much, much);
    }
}

#[test]
fn the_end_and_an_error_come_behind_the_bytes() {
    for (mut rig, key, mut peer) in each() {
        peer.write_all(&pattern(4, MUCH)).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert!(rig.receive_all(key, MUCH) == pattern(4, MUCH), "the bytes differ");
        let mut rest = Vec::new();
        while matches!(rig.pull(key, &mut rest), Received::Dry) {
            rig.input(key);
        }
        assert!(rig.at(key).is(EOF_PULLED) && rest.is_empty());
    }
    for (mut rig, key, peer) in each() {
        reset(peer);
        rig.input(key);
        let received = rig.backend.receive(key, None);
        let Received::Failed(error) = received else { panic!("{received:?}") };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_close_ends_the_poll() {
    for (mut rig, key, peer) in each() {
        assert!(rig.at(key).is(RECEIVING));
        assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending));
        rig.closed(key);
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_ended(&peer));
    }
}

/// However it is cut, and whichever way it is received.
#[test]
fn the_bytes_are_in_order_through_all_changes() {
    for options in
        [Options::default(), Options::default().without(Feature::Credit), Options::default().bulk(600)]
    {
        let Some(mut rig) = Rig::with(&options) else { return };
        let (key, peer) = rig.connection();
        let data = pattern(5, 8 * 1024 * 1024);
        let (mut written, mut seen, mut turn, mut were) = (0, Vec::new(), 0_usize, [false; 2]);
        let mut memory = vec![0; 100_000];
        while seen.len() < data.len() {
            turn += 1;
            let burst = [7, 90_000, 300, 16 * 1024, 1, 200_000][turn % 6];
            written += write_some(&peer, &data[written..(written + burst).min(data.len())]);
            rig.backend.wait(until(Instant::ZERO)).unwrap();
            while rig.backend.next().is_some() {}
            let room = [50, 100_000, 64, 20_000][turn % 4];
            if turn % 3 == 0 {
                rig.pull(key, &mut seen);
            } else if let Received::Filled(count) = rig.backend.receive(key, Some(&mut memory[..room])) {
                seen.extend_from_slice(&memory[..count]);
            }
            were[usize::from(rig.at(key).bulk.is_off())] = true;
        }
        assert!(seen == data, "the bytes differ");
        assert_eq!(were, [true; 2], "in bulk, and not");
    }
}
