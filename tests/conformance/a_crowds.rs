//! A: waiting for many connections at once, in one task.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use marline_tasks::{Stream, gather, race, settle, task_stats};
use marline_tests::process;

use crate::conformance;
use crate::support::{Raw, World, skip};

const CROWD: usize = 1000;

conformance! {
    fn a23_one_task_reads_a_thousand_connections(world: &World) {
        let Some((streams, raws)) = connect(world) else { return };
        let polls = Rc::new(Cell::new(0));
        let (counter, before) = (Rc::clone(&polls), world.handle().enter(task_stats).spawned);
        let task = world.spawn(async move {
            let names = gather(streams.iter().map(|stream| Counted {
                future: Box::pin(read_name(stream)),
                polls: Rc::clone(&counter),
            }));
            let names = names.await.expect("a name from each");
            (names, task_stats().spawned, streams)
        });
        world.until(|| polls.get() == CROWD);
        // The answers come in an order of their own, and are returned in that of the streams.
        for (name, raw) in raws.iter().enumerate().rev() {
            raw.write(&name.to_le_bytes());
        }
        let (names, spawned, streams) = world.join(task);
        assert_eq!(names, (0..CROWD).collect::<Vec<_>>());
        assert_eq!(spawned, before + 1, "no helper task");
        // Once to begin, and once for each piece that came: a name is eight bytes.
        let most = if world.is_seeded() { CROWD * 9 } else { CROWD * 2 };
        assert!(polls.get() <= most, "{} polls", polls.get());
        assert_eq!(streams.len(), CROWD);
    }

    fn a23_a13_a_thousand_readers_race_and_no_byte_is_lost(world: &World) {
        let Some((streams, raws)) = connect(world) else { return };
        let before = world.handle().enter(task_stats).spawned;
        let task = world.spawn(async move {
            let mut heard = vec![0_usize; CROWD];
            for _ in 0..60 {
                let mut bytes = vec![[0]; CROWD];
                let reads = streams.iter().zip(&mut bytes).map(|(stream, byte)| stream.read(byte));
                let (winner, count) = race(reads).await;
                assert_eq!(count.expect("a byte"), 1);
                assert_eq!(usize::from(bytes[winner][0]), winner % 251);
                heard[winner] += 1;
            }
            // What the losers would have got is still there.
            let rest = settle(streams.iter().zip(&heard).map(|(stream, heard)| async move {
                let mut count = *heard;
                while count < 2 {
                    count += stream.read(&mut [0; 2]).await.expect("a byte");
                }
                count
            }));
            (rest.await, task_stats().spawned)
        });
        for (name, raw) in raws.iter().enumerate() {
            raw.write(&[u8::try_from(name % 251).expect("a byte"); 2]);
        }
        let (heard, spawned) = world.join(task);
        assert_eq!(heard, vec![2; CROWD]);
        assert_eq!(spawned, before + 1, "no helper task");
    }
}

/// Far ends, and a stream for each.
fn connect(world: &World) -> Option<(Vec<Stream>, Vec<Raw>)> {
    if !world.is_memory() && process::raise_descriptor_limit() < 2 * CROWD as u64 + 200 {
        skip("there are not enough descriptors");
        return None;
    }
    let listener = world.listener();
    let (mut streams, mut raws) = (Vec::new(), Vec::new());
    // One after the other, so that they are accepted in this order.
    let listener = Rc::new(listener);
    for _ in 0..CROWD {
        raws.push(world.connect_raw_to_listener(&listener));
        let listener = Rc::clone(&listener);
        streams.push(world.finish(async move { listener.accept().await }).expect("a stream"));
    }
    Some((streams, raws))
}

async fn read_name(stream: &Stream) -> std::io::Result<usize> {
    let (mut name, mut filled) = ([0; 8], 0);
    while filled < name.len() {
        filled += stream.read(&mut name[filled..]).await?;
    }
    Ok(usize::from_le_bytes(name))
}

/// Counts its polls.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Rc<Cell<usize>>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.set(self.polls.get() + 1);
        self.future.as_mut().poll(context)
    }
}
