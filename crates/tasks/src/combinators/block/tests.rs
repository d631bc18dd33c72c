//! What blocks do, without futures.

use std::sync::Arc;
use std::task::Wake;
use std::thread;

use super::*;

#[derive(Default)]
struct Parent(AtomicU32);

impl Wake for Parent {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn waker(block: &Block, index: usize) -> Waker {
    block.lend(index, false, |context| context.waker().clone())
}

fn woken(block: &Block) -> Vec<usize> {
    let mut line = block.collect();
    std::iter::from_fn(|| block.take_first(&mut line)).collect()
}

#[test]
fn the_first_wake_tells_the_parent_and_each_child_is_named_once() {
    for (sorted, order) in [(false, [2, 0]), (true, [0, 2])] {
        let (block, parent) = (Block::new(3, sorted), Arc::new(Parent::default()));
        *block.head().parent.lock() = Some(Waker::from(Arc::clone(&parent)));
        let wakers = [2, 0].map(|index| waker(&block, index));
        wakers.iter().chain(&wakers).for_each(Waker::wake_by_ref);
        assert!(!block.sleeps());
        assert_eq!((woken(&block), parent.0.load(Ordering::Relaxed)), (order.to_vec(), 1));
        assert!(block.sleeps());
        if !sorted {
            wakers[0].wake_by_ref();
            assert_eq!(woken(&block), [] as [usize; 0], "it was not polled meanwhile");
        }
        block.slot(0).finish();
        wakers[1].wake_by_ref();
        assert!(block.sleeps(), "it has finished");
        assert!(wakers[0].will_wake(&waker(&block, 2)) && !wakers[0].will_wake(&wakers[1]));
    }
}

#[test]
fn wakers_that_are_left_over_keep_the_memory() {
    let block = Block::new(2, false);
    let (left, other) = (waker(&block, 1), waker(&block, 0));
    block.slot(0).finish();
    assert!(block.slot(0).has_finished() && !block.slot(1).has_finished());
    drop(block);
    other.wake();
    let copy = left.clone();
    copy.wake();
    drop(left);
}

#[test]
fn a_block_for_nobody_is_dropped() {
    assert_eq!(woken(&Block::new(0, false)), [] as [usize; 0]);
}

#[test]
fn few_are_as_many_as_a_word_has_bits() {
    const MOST: usize = usize::BITS as usize;
    for (len, ascends) in [(MOST, true), (MOST + 1, false)] {
        let block = Block::new(len, true);
        [len - 1, 0, len / 2].iter().for_each(|&index| waker(&block, index).wake());
        let mut line = block.collect();
        assert_eq!(line.ascends, ascends);
        let expected = if ascends { [0, len / 2, len - 1] } else { [len - 1, 0, len / 2] };
        assert_eq!(expected.map(Some), [(); 3].map(|()| block.take_first(&mut line)));
        assert!(line.is_empty());
        for index in [3, len - 1, 1] {
            block.put_first(&mut line, index);
        }
        let put = if ascends { [1, 3, len - 1] } else { [1, len - 1, 3] };
        assert_eq!(put.map(Some), [(); 3].map(|()| block.take_first(&mut line)));
    }
}

#[test]
fn the_parent_is_at_hand_while_no_waker_is_elsewhere() {
    let mut block = Block::new(2, true);
    assert!(block.own_parent().is_some());
    let elsewhere = waker(&block, 1);
    assert!(block.own_parent().is_none());
    thread::spawn(move || elsewhere.wake()).join().expect("no waker panics");
    assert!(block.own_parent().is_some());
}

#[test]
fn children_that_are_woken_on_many_threads_are_all_named_and_what_was_written_before_is_seen() {
    const CHILDREN: usize = 16;
    for sorted in [false, true] {
        let (block, parent) = (Block::new(CHILDREN, sorted), Arc::new(Parent::default()));
        *block.head().parent.lock() = Some(Waker::from(Arc::clone(&parent)));
        let written = Arc::new([const { AtomicBool::new(false) }; CHILDREN]);
        let wakers: Vec<_> = (0..CHILDREN).map(|index| waker(&block, index)).collect();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (own, written) = (wakers.clone(), Arc::clone(&written));
                thread::spawn(move || {
                    for (waker, written) in own.into_iter().zip(&*written) {
                        written.store(true, Ordering::Relaxed);
                        waker.wake();
                    }
                })
            })
            .collect();
        drop(wakers);
        let mut named = Vec::new();
        while named.len() < CHILDREN {
            let more = woken(&block);
            assert!(more.iter().all(|&index| written[index].load(Ordering::Relaxed)));
            named.extend(more);
            if sorted {
                // Who is woken again before it is polled is named again.
                named.sort_unstable();
                named.dedup();
            }
            thread::yield_now();
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no waker panics"));
        let again = woken(&block);
        assert!(again.iter().all(|index| sorted && named.contains(index)));
        named.sort_unstable();
        assert_eq!(named, (0..CHILDREN).collect::<Vec<_>>());
        assert_eq!(parent.0.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_poll_is_for_all_wakes_before_it() {
    for sorted in [false, true] {
        let block = Block::new(3, sorted);
        let wakers = [0, 1].map(|index| waker(&block, index));
        wakers.iter().for_each(Waker::wake_by_ref);
        let mut line = block.collect();
        wakers[1].wake_by_ref();
        let _ = waker(&block, 1);
        assert!(block.sleeps());
        assert_eq!([(); 3].map(|()| block.take_first(&mut line)), [Some(0), Some(1), None]);
        wakers[1].wake_by_ref();
        assert_eq!(woken(&block), [1]);
    }
}
