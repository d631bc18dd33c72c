//! A: losing a race loses nothing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures::io::AsyncBufReadExt;
use futures_io::AsyncRead;
use marline_tasks::{MissedTicks, Stream, deferred, interval, select, sleep, spawn, timeout, yield_now};

use crate::support::{Raw, World};
use crate::{conformance, streams};

streams! {
    fn a13_reads_that_lose_lose_no_data(world: &World) {
        let (stream, raw) = world.stream();
        let task = world.spawn(async move {
            let (mut all, mut part, mut lost) = (Vec::new(), [0; 1000], 0);
            for round in 0.. {
                let count = select! {
                    count = read(&stream, &mut part, round) => count,
                    () = rival(round) => None,
                };
                let Some(count) = count else {
                    lost += 1;
                    continue;
                };
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&part[..count]);
            }
            (all, lost)
        });
        feed(world, &raw, &world.payload());
        raw.finish();
        let (all, lost) = world.join(task);
        assert!(all == world.payload(), "{} of {} bytes", all.len(), world.payload().len());
        assert!(lost > 0);
    }

    fn a13_buffered_reads_that_lose_lose_no_data(world: &World) {
        let (stream, raw) = world.stream();
        let task = world.spawn(async move {
            let (mut reader, _writer) = stream.into_split();
            let (mut all, mut lost) = (Vec::new(), 0);
            for round in 0.. {
                let count = select! {
                    found = reader.fill_buf() => {
                        let found = found.expect("bytes");
                        // Not all of them are taken, so that some are left where a lost read could lose them.
                        let count = found.len().min(1 + round % 700);
                        all.extend_from_slice(&found[..count]);
                        count
                    }
                    () = rival(round) => {
                        lost += 1;
                        continue;
                    }
                };
                reader.consume_unpin(count);
                if count == 0 {
                    break;
                }
            }
            (all, lost)
        });
        feed(world, &raw, &world.payload());
        raw.finish();
        let (all, lost) = world.join(task);
        assert!(all == world.payload(), "{} of {} bytes", all.len(), world.payload().len());
        assert!(lost > 0);
    }
}

conformance! {
    fn a13_accepts_that_lose_lose_no_connection(world: &World) {
        const PEERS: u8 = 40;
        let listener = world.listener();
        let address = listener.local_address().expect("an address").as_inet().expect("an internet address");
        let (lost, count) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (counter, accepted) = (Rc::clone(&lost), Rc::clone(&count));
        let task = world.spawn(async move {
            let mut streams = Vec::new();
            for round in 0.. {
                select! {
                    stream = listener.accept() => streams.push(stream.expect("a connection")),
                    () = rival(round) => counter.set(counter.get() + 1),
                }
                accepted.set(streams.len());
                if streams.len() == usize::from(PEERS) {
                    break;
                }
            }
            let mut names = BTreeSet::new();
            for stream in &streams {
                let mut name = [0];
                assert_eq!(stream.read(&mut name).await.expect("a name"), 1);
                names.insert(name[0]);
            }
            names
        });
        let mut raws = Vec::new();
        for name in 0..PEERS {
            let raw = world.connect_raw_to(address);
            assert_eq!(raw.write(&[name]), 1);
            raws.push(raw);
            if name % 8 == 0 {
                world.until(|| count.get() == raws.len());
                let before = lost.get();
                world.until(|| lost.get() > before);
            }
        }
        let names = world.join(task);
        assert_eq!(names, (0..PEERS).collect());
    }

    fn a13_an_accept_that_was_woken_and_dropped_leaves_the_connection_to_the_next(world: &World) {
        let listener = Rc::new(world.listener());
        let accepted = Rc::new(Cell::new(0));
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (listener, accepted) = (Rc::clone(&listener), Rc::clone(&accepted));
                world.spawn(async move {
                    let stream = listener.accept().await.expect("a connection");
                    accepted.set(accepted.get() + 1);
                    stream
                })
            })
            .collect();
        world.settle();
        // The first is woken by the connection, and ended before it is polled.
        let first = &waiters[0];
        let raw = world.connect_raw_to_listener(&listener);
        first.abort();
        world.until(|| accepted.get() == 1);
        assert!(first.is_finished() && !raw.is_reset());
        let again = world.connect_raw_to_listener(&listener);
        world.until(|| accepted.get() == 2);
        assert!(waiters.iter().all(|waiter| waiter.is_finished()) && !again.is_reset());
    }

    fn a13_ticks_that_lose_are_not_lost(world: &World) {
        let period = Duration::from_millis(2);
        let task = world.spawn(async move {
            let mut interval = interval(period).missed(MissedTicks::Burst);
            let (mut ticks, mut lost) = (Vec::new(), 0);
            // On a machine that lags behind they are all there already, until it has caught up.
            while ticks.len() < 15 || lost == 0 {
                select! {
                    tick = interval.tick() => ticks.push(tick),
                    () = sleep(Duration::from_micros(1500)) => lost += 1,
                }
            }
            (ticks, lost)
        });
        let (ticks, lost) = world.join(task);
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == period), "{ticks:?}");
        assert!(lost > 0);
    }

    fn a13_deferreds_handles_and_sleeps_can_be_awaited_again(world: &World) {
        let (resolver, answer) = deferred();
        let (handle, lost) = (world.handle(), Rc::new(Cell::new(0)));
        let (begun, races) = (handle.now(), Rc::clone(&lost));
        let task = world.spawn(async move {
            // Each comes when it has lost twice, so that it is no matter of luck whether it loses.
            let seen = Rc::clone(&races);
            let resolving = spawn(async move {
                lose(&seen, 2).await;
                resolver.resolve("resolved")
            });
            let answer = persist(answer, &races).await;
            resolving.await.expect("an end").expect("it is awaited");
            let seen = Rc::clone(&races);
            let joined = spawn(async move {
                lose(&seen, 4).await;
                "joined"
            });
            let joined = persist(joined, &races).await;
            let napping = handle.now();
            persist(sleep(4 * STEP), &races).await;
            (answer, joined, handle.now() - napping, handle.now() - begun)
        });
        let (answer, joined, nap, took) = world.join(task);
        assert_eq!((answer, joined.expect("an output")), (Ok("resolved"), "joined"));
        assert!(lost.get() >= if world.is_memory() { 7 } else { 4 }, "{} lost", lost.get());
        assert!(nap >= 4 * STEP && took >= 8 * STEP, "a sleep goes on while it is not polled");
        assert!(!world.is_memory() || nap == 4 * STEP, "{nap:?}");
    }
}

/// Longer than the resolution of any backend's timers.
const STEP: Duration = Duration::from_millis(2);

/// Awaits a future through a reference, in races of which it loses all but the last, and counts those.
async fn persist<F: Future + Unpin>(mut future: F, lost: &Cell<usize>) -> F::Output {
    loop {
        select! {
            output = &mut future => return output,
            () = sleep(STEP) => lost.set(lost.get() + 1),
        }
    }
}

/// Waits until so many races are lost.
async fn lose(lost: &Cell<usize>, count: usize) {
    while lost.get() < count {
        sleep(STEP / 4).await;
    }
}

/// Is ready at once, or a little later.
async fn rival(round: usize) {
    match round % 3 {
        0 => yield_now().await,
        1 => sleep(Duration::ZERO).await,
        _ => {
            yield_now().await;
            yield_now().await;
        }
    }
}

/// Reads in one of the ways there are. `None` if that lost a race of its own.
async fn read(stream: &Stream, part: &mut [u8], round: usize) -> Option<usize> {
    let count = match round % 5 {
        0 | 1 => stream.read(part).await,
        2 | 3 => poll_fn(|context| Pin::new(&mut &*stream).poll_read(context, part)).await,
        _ => timeout(Duration::ZERO, stream.read(part)).await.ok()?,
    };
    Some(count.expect("bytes, or the end"))
}

/// Sends everything, as there is room.
fn feed(world: &World, raw: &Raw, bytes: &[u8]) {
    let sent = Cell::new(0);
    world.until(|| {
        sent.set(sent.get() + raw.write(&bytes[sent.get()..]));
        sent.get() == bytes.len()
    });
}
