use std::collections::HashMap;
use std::net::TcpListener;

use super::*;

const MANY: usize = 300;

/// Rings whose queues are as short as can be.
fn short() -> impl Iterator<Item = Rig> {
    let short = Options::default().entries(8);
    let bare = short.clone().without(Feature::Credit).without(Feature::Gathering);
    [short, bare.without(Feature::IncrementalBuffers)].into_iter().filter_map(|options| Rig::with(&options))
}

/// Q08: a success makes no completion, so a failure that found no room must not look like one.
#[test]
fn q08_a_send_that_fails_is_no_success_when_the_completions_overflow() {
    for mut rig in short() {
        let counted = Counted::default();
        let (mut doomed, mut alive) = (HashMap::new(), Vec::new());
        for (number, (key, peer)) in rig.connections(MANY).into_iter().enumerate() {
            if number % 2 == 0 {
                reset(peer);
                doomed.insert(key, ());
            } else {
                alive.push((key, peer));
            }
            // Some of one part, some of several: more of either than the ring takes in one call.
            let parts = 1 + number % 3;
            assert!(matches!(rig.backend.send(key, counted.outgoing(parts, 1000)), Started::Pending));
            rig.backend.expedite(key);
        }
        assert!(rig.backend.ring.overflowed(), "{} failures fit", doomed.len());
        let mut answered = 0;
        while answered < MANY {
            let (key, sent) = rig.until(|completion| match completion {
                Completion::Sent(key, sent) => Some((key, sent)),
                _ => None,
            });
            answered += 1;
            match sent.result {
                Ok(count) => assert!(!doomed.contains_key(&key) && count == sent.outgoing.len()),
                Err(error) => {
                    assert!(doomed.contains_key(&key), "{error}");
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                }
            }
        }
        for (key, mut peer) in alive {
            rig.backend.close(key, Close::Orderly);
            rig.closed(key);
            let mut seen = Vec::new();
            peer.read_to_end(&mut seen).unwrap();
            assert_eq!((seen.len() % 1000, &seen[..1000]), (0, &pattern(0, 1000)[..]));
        }
        assert!(rig.rest_is_quiet());
    }
}

/// Q02, Q08: the lists of parts, and the addresses, stay as they are until the kernel has read them, also when the queue of
/// submissions is full and a call is needed to make room.
#[test]
fn q02_the_arguments_of_more_operations_than_the_queue_has_room_for_are_read_as_they_were() {
    for mut rig in short() {
        let pairs = rig.connections(100);
        for (number, (key, _)) in pairs.iter().enumerate() {
            let mut parts = Box::new(Outgoing::default());
            for part in 0..3 {
                parts.push_owned(pattern(7 * number + part, 500).into());
            }
            assert!(matches!(rig.backend.send(*key, parts), Started::Pending));
        }
        rig.settle();
        for (number, (_, mut peer)) in pairs.into_iter().enumerate() {
            let mut seen = [0; 1500];
            peer.read_exact(&mut seen).unwrap();
            assert!((0..3).all(|part| seen[500 * part..][..500] == pattern(7 * number + part, 500)));
        }
        // Each has a listener of its own, and finds it.
        let servers: Vec<_> = (0..50).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let connect = |server: &TcpListener| {
            let (key, address) = (rig.key(), server.local_addr().unwrap().into());
            rig.backend.connect(key, &address, &ConnectOptions::default()).unwrap();
            key
        };
        let mut keys: Vec<Key> = servers.iter().map(connect).collect();
        while !keys.is_empty() {
            let connected = rig.until(|completion| match completion {
                Completion::Connected(key, outcome) => {
                    outcome.map(|()| key).map_err(|error| panic!("{error}")).ok()
                }
                _ => None,
            });
            keys.retain(|key| *key != connected);
        }
        for server in servers {
            server.set_nonblocking(true).unwrap();
            server.accept().unwrap();
        }
    }
}

/// Q08: nor one that the kernel has not taken yet.
#[test]
fn q08_a_send_that_was_not_taken_is_no_success() {
    for mut rig in short() {
        let (mut good, bad) = (rig.connection(), rig.connection());
        rig.settle();
        reset(bad.1);
        rig.backend.ring.hold_back(50);
        let counted = Counted::default();
        rig.begin_send(bad.0, counted.outgoing(1, 1000));
        rig.begin_send(good.0, counted.outgoing(3, 1000));
        let mut answers = Vec::new();
        let waits = rig.backend.system_calls().waits;
        while answers.len() < 2 {
            answers.push(rig.until(|completion| match completion {
                Completion::Sent(key, sent) => Some((key, sent.result.map_err(|error| error.kind()))),
                _ => None,
            }));
        }
        assert!(rig.backend.system_calls().waits - waits > 5, "it took several calls");
        answers.sort_unstable_by_key(|(key, _)| *key != good.0);
        assert_eq!(answers, [(good.0, Ok(3000)), (bad.0, Err(ErrorKind::ConnectionReset))]);
        good.1.read_exact(&mut [0; 3000]).unwrap();
    }
}

/// What an echo has to send back.
#[derive(Default)]
struct Echo {
    waiting: Vec<u8>,
    sending: bool,
}

/// Q08, Q06: everybody talks at once, some go away in between, and nobody else notices.
#[test]
fn q08_nothing_is_lost_when_hundreds_talk_at_once_through_short_queues() {
    for mut rig in short() {
        let mut peers = rig.connections(MANY);
        let mut echoes: HashMap<Key, Echo> = peers.iter().map(|(key, _)| (*key, Echo::default())).collect();
        let mut overflows = 0;
        for round in 0..6 {
            for (number, (_, peer)) in peers.iter_mut().enumerate() {
                peer.write_all(&pattern(number + round, 3000)).unwrap();
            }
            peers.drain(..20).for_each(|(_, peer)| reset(peer));
            let alive: Vec<_> = peers.iter().map(|(key, _)| *key).collect();
            let mut echoed: HashMap<Key, usize> = HashMap::new();
            while alive.iter().any(|key| echoed.get(key).is_none_or(|count| *count < 3000)) {
                let completion = rig.until(Some);
                overflows += usize::from(rig.backend.ring.overflowed());
                rig.echo(completion, &mut echoes, &mut echoed);
            }
            for (number, (_, peer)) in peers.iter_mut().enumerate() {
                let mut seen = [0; 3000];
                peer.read_exact(&mut seen).unwrap();
                assert!(seen[..] == pattern(number + 20 + round, 3000), "the bytes differ");
            }
        }
        assert!(overflows > 0, "the queue was long enough");
        assert_eq!(echoes.len(), MANY - 6 * 20);
        assert!(rig.rest_is_quiet());
    }
}

impl Rig {
    fn echo(
        &mut self,
        completion: Completion,
        echoes: &mut HashMap<Key, Echo>,
        echoed: &mut HashMap<Key, usize>,
    ) {
        let key = match completion {
            Completion::Input(key) => {
                let Some(echo) = echoes.get_mut(&key) else { return };
                match self.pull(key, &mut echo.waiting) {
                    Received::Dry => {}
                    Received::Failed(error) => {
                        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                        echoes.remove(&key);
                        self.backend.close(key, Close::Reset);
                    }
                    other => panic!("{other:?}"),
                }
                key
            }
            Completion::Sent(key, sent) => {
                let Some(echo) = echoes.get_mut(&key) else { return };
                echo.sending = false;
                if let Ok(count) = sent.result {
                    assert_eq!(count, sent.outgoing.len());
                    *echoed.entry(key).or_default() += count;
                }
                key
            }
            _ => return,
        };
        let Some(echo) = echoes.get_mut(&key) else { return };
        if !echo.sending && !echo.waiting.is_empty() {
            echo.sending = true;
            let waiting = std::mem::take(&mut echo.waiting);
            self.begin_send(key, outgoing(&waiting));
        }
    }

    fn rest_is_quiet(&mut self) -> bool {
        self.assert_sleeps();
        !self.backend.has_events()
    }
}
