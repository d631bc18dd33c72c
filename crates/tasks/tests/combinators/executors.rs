//! Other executors, no reactor, and no helper tasks.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use futures::executor::{LocalPool, block_on};
use futures::task::LocalSpawnExt;
use marline_tasks::combinators::{Gather, Race, Select, Settle};
use marline_tasks::{GatherError, deferred, gather, race, select, settle};

#[test]
fn a25_everything_works_under_block_on() {
    let (resolver, answer) = deferred();
    let resolving = async {
        resolver.resolve("resolved").expect("it is observed");
        pending().await
    };
    let selected = async {
        select! {
            fixed;
            answer = answer => answer.map_err(drop),
            () = resolving => Err(()),
        }
    };
    let gathered =
        async { gather((0..3).map(|n| async move { Ok(n) })).await.map_err(GatherError::into_error) };
    let settled = async { Ok(settle!(async { 1 }, settle([async { 2 }])).await) };
    let raced = async { Ok(race([async { 'r' }]).await) };

    let values = block_on(async { gather!(gathered, settled, raced, selected).await });
    assert_eq!(values, Ok((vec![0, 1, 2], (1, vec![2]), (0, 'r'), "resolved")));
}

#[test]
fn a25_everything_works_under_a_local_pool_among_other_tasks() {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let (resolvers, answers): (Vec<_>, Vec<_>) = (0..100).map(|_| deferred()).unzip();
    let (done, total) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for (index, resolver) in resolvers.into_iter().enumerate() {
        let done = Rc::clone(&done);
        let task = async move {
            done.set(done.get() + 1);
            resolver.resolve(index).expect("it is observed");
        };
        spawner.spawn_local(task).expect("the pool is alive");
    }
    let sum = Rc::clone(&total);
    let waiting = async move {
        let values = gather(answers).await.expect("all are resolved");
        sum.set(values.iter().sum());
    };
    spawner.spawn_local(waiting).expect("the pool is alive");
    pool.run();
    assert_eq!((done.get(), total.get()), (100, 4950));
}

/// With an executor that has one task and can spawn no other, each of a thousand waits gets its turn.
#[test]
fn a23_a_thousand_waits_need_no_helper_task() {
    let (resolvers, answers): (Vec<_>, Vec<_>) = (0..1000).map(|_| deferred()).unzip();
    let resolving = async {
        for (index, resolver) in resolvers.into_iter().enumerate().rev() {
            resolver.resolve(index).expect("it is observed");
        }
    };
    let (values, ()) = block_on(async { settle!(gather(answers), resolving).await });
    assert_eq!(values, Ok((0..1000).collect()));
}

#[test]
fn a25_combinators_of_send_futures_are_send_and_unpin_where_they_can_be() {
    fn send<T: Send>() {}
    fn unpin<T: Unpin>() {}
    type Child = std::future::Ready<Result<String, ()>>;
    type Two = marline_tasks::combinators::Futures2<Child, Child>;
    send::<(Gather<Child>, Settle<Child>, Race<Child>, Select<Two>)>();
    unpin::<(Gather<Immovable>, Settle<Immovable>, Race<Immovable>)>();
}

/// A future that must not move once it was polled.
struct Immovable(#[allow(dead_code)] std::marker::PhantomPinned);

impl Future for Immovable {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::task::Poll::Ready(())
    }
}
