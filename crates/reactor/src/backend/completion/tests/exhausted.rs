use super::*;

/// How many connections nobody reads from: what they are sent is more than the pool has.
const PAUSED: usize = 80;
/// How much each of them is sent.
const EACH: usize = 3 << 19;

/// The kinds of pools, and of ways to stop a receive.
fn kinds() -> impl Iterator<Item = (Rig, usize)> {
    let by_default = Options::default();
    let whole = by_default.clone().bulk(usize::MAX);
    let no_credit = whole.clone().without(Feature::Credit);
    // A receive with a credit brings that much, twice at most if it was cut short, and a buffer beyond it. One that has to be
    // cancelled brings what the socket holds by then.
    let kinds = [
        (whole.clone(), 640 << 10),
        (whole.clone().without(Feature::IncrementalBuffers), 528 << 10),
        (no_credit.clone(), EACH),
        (no_credit.without(Feature::IncrementalBuffers), EACH),
        (whole.entries(8), 640 << 10),
        // What is bulk stays in the kernel.
        (by_default.clone(), 192 << 10),
        (by_default.clone().without(Feature::IncrementalBuffers), 144 << 10),
        (by_default.without(Feature::Credit), EACH),
    ];
    kinds.into_iter().filter_map(|(options, most)| Rig::with(&options).map(|rig| (rig, most)))
}

/// A byte there and back.
fn ping(rig: &mut Rig, (key, peer): &mut (Key, TcpStream)) {
    peer.write_all(b"?").unwrap();
    assert_eq!(rig.receive_all(*key, 1), b"?");
    assert_eq!(rig.send(*key, b"!").unwrap(), 1);
    let mut byte = [0];
    peer.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"!");
}

/// Q06: connections that nobody reads from take all of the pool, and hold neither it nor each other up.
#[test]
fn q06_others_are_served_while_many_are_flooded_and_nobody_reads() {
    for (mut rig, most) in kinds() {
        let mut friend = rig.connection();
        let paused = rig.connections(PAUSED);
        let (data, mut written) = (pattern(0, EACH + PAUSED), [0; PAUSED]);
        let mut in_vain = 0;
        while in_vain < 5 {
            in_vain += 1;
            for (number, (_, peer)) in paused.iter().enumerate() {
                let count = write_some(peer, &data[number..][written[number]..EACH]);
                written[number] += count;
                if count > 0 {
                    in_vain = 0;
                }
            }
            ping(&mut rig, &mut friend);
        }
        rig.settle();
        let held: Vec<_> = paused.iter().map(|(key, _)| rig.at(*key).input_len()).collect();
        let (held, longest) = (held.iter().sum::<usize>(), held.iter().max().unwrap());
        println!("{held} bytes are held, {longest} at most");
        let all_comes = rig.backend.much == usize::MAX;
        assert!(held > 16 << 20 || !all_comes, "{held} bytes are less than the pool has");
        assert!(*longest <= most, "{longest} bytes are held, at most {most} are allowed");
        rig.assert_sleeps();
        ping(&mut rig, &mut friend);
        for (number, (key, peer)) in paused.iter().enumerate() {
            let mut seen = Vec::new();
            while seen.len() < EACH {
                written[number] += write_some(peer, &data[number..][written[number]..EACH]);
                assert!(matches!(rig.pull(*key, &mut seen), Received::Dry));
                if seen.len() < written[number] {
                    rig.input(*key);
                }
            }
            assert!(seen == data[number..][..EACH], "the bytes differ");
        }
    }
}

/// Q06: pieces that are out cannot be copied out of the pool. Without any left the backend sleeps; it goes on when some return.
#[test]
fn q06_a_pool_that_is_lent_out_altogether_is_waited_for_without_a_spin() {
    for (mut rig, _) in kinds().filter(|(rig, _)| rig.backend.much == usize::MAX) {
        let mut friend = rig.connection();
        let flooded = rig.connections(PAUSED);
        let data = pattern(0, EACH + PAUSED);
        let (mut written, mut chunks) = ([0; PAUSED], Vec::new());
        let deadline = rig.backend.now() + PATIENCE;
        while rig.backend.buffers.provided() > 0 {
            assert!(rig.backend.now() < deadline, "{} buffers are left", rig.backend.buffers.provided());
            for (number, (key, peer)) in flooded.iter().enumerate() {
                written[number] += write_some(peer, &data[number..][written[number]..EACH]);
                while let Received::Chunk(chunk) = rig.backend.receive(*key, None) {
                    chunks.push((number, chunk));
                }
            }
            rig.backend.wait(until(Instant::ZERO)).unwrap();
            while rig.backend.next().is_some() {}
        }
        rig.assert_sleeps();
        let mut seen = vec![Vec::new(); PAUSED];
        for (number, chunk) in chunks {
            seen[number].extend_from_slice(chunk.bytes());
            rig.backend.release(chunk);
        }
        ping(&mut rig, &mut friend);
        for (number, (key, _)) in flooded.iter().enumerate() {
            let rest = rig.receive_all(*key, written[number] - seen[number].len());
            seen[number].extend(rest);
            assert!(seen[number] == data[number..][..written[number]], "the bytes differ");
        }
    }
}

/// Connections come and go, and nothing is noted for ever about those that went.
#[test]
fn who_has_gone_is_forgotten() {
    for mut rig in Rig::each() {
        let (listener, address) = rig.listen();
        for _ in 0..600 {
            let mut peer = TcpStream::connect(address).unwrap();
            let key = rig.accept(listener);
            peer.write_all(b"hello").unwrap();
            assert_eq!(rig.receive_all(key, 5), b"hello");
            rig.backend.close(key, Close::Orderly);
            rig.closed(key);
        }
        let lists = &rig.backend.lists;
        let noted = lists.receive.len()
            + lists.poll.len()
            + lists.holding.len()
            + lists.ended.len()
            + lists.quiet.len();
        assert!(noted <= 150, "{noted} entries about connections that are gone");
    }
}
