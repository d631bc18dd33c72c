//! Other executors, no reactor, and no helper tasks.

use std::cell::Cell;
use std::rc::Rc;

use futures::executor::{LocalPool, block_on};
use futures::task::LocalSpawnExt;
use marline_tasks::combinators::{Gather, Race, Select, Settle};
use marline_tasks::{deferred, gather, race, select, settle};

#[test]
fn a25_everything_works_under_block_on() {
    let result = block_on(async {
        let (resolver, answer) = deferred();
        let (gathered, settled, (index, raced), resolved) = gather!(
            gather((0..3).map(|n| async move { Ok::<_, ()>(n) })),
            async { Ok(settle!(async { 1 }, settle([async { 2 }])).await) },
            async { Ok(race([async { 'r' }]).await) },
            async {
                select! {
                    fixed;
                    answer = answer => Ok(answer),
                    () = async { resolver.resolve("resolved").expect("it is observed"); std::future::pending().await } => Ok(Ok("")),
                }
            },
        )
        .await?;
        Ok::<_, marline_tasks::GatherError<marline_tasks::GatherError<()>>>((
            gathered, settled, index, raced, resolved,
        ))
    });
    assert_eq!(result, Ok((vec![0, 1, 2], (1, vec![2]), 0, 'r', Ok("resolved"))));
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
    let sum = block_on(async {
        let resolving = async {
            for (index, resolver) in resolvers.into_iter().enumerate().rev() {
                resolver.resolve(index).expect("it is observed");
            }
            Ok(())
        };
        let (values, ()) = gather!(
            async { gather(answers).await.map_err(|failed| failed.error) },
            resolving
        )
        .await?;
        Ok::<usize, marline_tasks::GatherError<marline_tasks::Abandoned>>(values.into_iter().sum())
    });
    assert_eq!(sum, Ok(499_500));
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
