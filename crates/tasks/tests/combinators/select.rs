//! `select` and `select!`.

use std::future::{pending, ready};
use std::task::Poll;

use futures::executor::block_on;
use marline_tasks::combinators::{OneOf2, OneOf3, OneOf8};
use marline_tasks::select;

use crate::support::{Log, Noisy, Parent, poll, poll_quietly, probe};

#[test]
fn a12_select_returns_the_first_finished_and_has_dropped_the_losers() {
    let log = Log::default();
    let (_first, one) = probe::<u8>(0, &log);
    let (second, two) = probe::<&str>(1, &log);
    let (_third, three) = probe::<()>(2, &log);
    let mut first = Box::pin(select((one, two, three)));
    let (parent, waker) = Parent::new();
    assert!(poll(&mut first, &waker).is_pending());
    second.finish("won");
    assert_eq!(parent.wakes(), 1);

    let winner = poll(&mut first, &waker);
    let dropped = log.lock().clone();
    assert_eq!(winner, Poll::Ready(OneOf3::Second("won")));
    assert_eq!(dropped, ["drop 1", "drop 0", "drop 2"]);
    assert!(poll(&mut first, &waker).is_pending());
}

#[test]
fn a12_select_names_the_index() {
    let never = pending::<()>;
    let eight = select((never(), never(), never(), never(), never(), never(), never(), ready(8)));
    let one = block_on(eight);
    assert_eq!((one.index(), one), (7, OneOf8::Eighth(8)));
}

#[test]
fn a12_select_is_fair_by_default() {
    let mut wins = [0; 3];
    for _ in 0..300 {
        wins[block_on(select((ready(0), ready('1'), ready("2")))).index()] += 1;
    }
    assert!(wins.iter().all(|&wins| wins > 40), "{wins:?}");

    let mut wins = [0; 3];
    for _ in 0..300 {
        let winner = block_on(async {
            select! { _ = ready(0) => 0, _ = ready('1') => 1, _ = ready("2") => 2 }
        });
        wins[winner] += 1;
    }
    assert!(wins.iter().all(|&wins| wins > 40), "{wins:?}");
}

#[test]
fn a12_futures_that_become_ready_together_later_win_alike() {
    let mut wins = [0; 2];
    for _ in 0..200 {
        let log = Log::default();
        let ((first, one), (second, two)) = (probe(0, &log), probe(1, &log));
        let mut either = Box::pin(select((one, two)));
        assert!(poll_quietly(&mut either).is_pending());
        first.finish(());
        second.finish(());
        match poll_quietly(&mut either) {
            Poll::Ready(one) => wins[one.index()] += 1,
            Poll::Pending => panic!("both are ready"),
        }
    }
    assert!(wins.iter().all(|&wins| wins > 40), "{wins:?}");
}

#[test]
fn a12_select_polls_in_the_written_order_on_request() {
    for _ in 0..200 {
        assert_eq!(block_on(select((ready(1), ready(2))).fixed()), OneOf2::First(1));
        let winner = block_on(async {
            select! { fixed; _ = ready(1) => 'a', _ = ready(2) => 'b' }
        });
        assert_eq!(winner, 'a');
    }
}

#[test]
fn a12_all_futures_are_gone_before_a_body_runs() {
    let log = Log::default();
    let (first, one) = probe::<u8>(0, &log);
    let (_second, two) = probe::<()>(1, &log);
    let mut around = Box::pin(async {
        select! {
            number = one => {
                log.lock().push(format!("body {number}"));
            }
            () = two => {}
        }
    });
    assert!(poll_quietly(&mut around).is_pending());
    first.finish(7);
    assert_eq!(poll_quietly(&mut around), Poll::Ready(()));
    assert_eq!(*log.lock(), ["drop 0", "drop 1", "body 7"]);
}

#[test]
fn a12_what_a_future_borrowed_is_free_in_a_body_and_so_are_its_temporaries() {
    async fn fill(buffer: &mut Vec<String>, with: &Noisy) {
        buffer.push(with.0.to_owned());
    }
    let log = Log::default();
    let mut buffer = Vec::new();
    block_on(async {
        select! {
            fixed;
            () = fill(&mut buffer, &Noisy("the temporary", log.clone())) => buffer.append(&mut log.lock()),
            () = pending() => {}
        }
    });
    assert_eq!(buffer, ["the temporary", "drop the temporary"]);
}

#[test]
fn a12_bodies_are_code_of_the_function_around() {
    async fn run(mut left: u32) -> Result<u32, std::num::ParseIntError> {
        let mut rounds = 0;
        loop {
            let step = select! {
                fixed;
                value = async { if left > 9 { pending().await } else { left } } => value,
                text = ready("x") => text.parse::<u32>()?,
            };
            rounds += 1;
            select! {
                fixed;
                () = pending() => unreachable!("it is never ready"),
                (a, b) = ready((step, 1)) => { left = a - b; }
                () = pending() => return Ok(0),
            }
            select! {
                fixed;
                more = ready(left > 0) => if more { continue } else { break Ok(ready(rounds).await) },
                Some(()) | None = pending() => {},
            }
        }
    }
    assert_eq!(block_on(run(3)), Ok(3));
    assert!(block_on(run(10)).is_err());
}

#[test]
fn a12_select_takes_eight_arms_and_references() {
    let mut kept = Box::pin(ready(8));
    let winner = block_on(async {
        select! {
            () = pending() => 1, () = pending() => 2, () = pending() => 3, () = pending() => 4,
            () = pending() => { 5 } () = pending() => { 6 }, () = pending() => 7, eight = &mut kept => eight
        }
    });
    assert_eq!(winner, 8);
}
