//! Tasks and closures across loops, and what loops count.

use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use futures::executor::block_on;
use marline_reactor::{GroupHandle, Worker};
use marline_tasks::{GroupTasks as _, sleep, yield_now};
use marline_tests::{PATIENCE, on_sockets, wait_for};

use crate::support::{connect, group, port, serving, stats};

on_sockets! {
    g10_tasks_are_started_from_outside_in_turn
    g10_tasks_are_started_on_a_chosen_loop
    g10_loops_start_tasks_on_each_other
    futures_that_are_not_send_are_made_there
    g10_a_task_on_a_group_that_ended_answers_with_an_error
    g10_closures_are_posted_to_a_loop
    g11_loops_count_connections_and_turns
    hooks_start_tasks
}

async fn here() -> usize {
    yield_now().await;
    Worker::current().expect("a loop of a group").index()
}

fn g10_tasks_are_started_from_outside_in_turn(backend: &'static str) {
    let running = group(backend, 3).start().expect("loops");
    let tasks: Vec<_> = (0..6).map(|_| running.handle().spawn(here())).collect();
    let loops: Vec<_> = tasks.into_iter().map(|task| block_on(task).expect("an answer")).collect();
    assert_eq!(loops, [0, 1, 2, 0, 1, 2]);
    running.handle().stop();
    running.join().expect("a good end");
}

fn g10_tasks_are_started_on_a_chosen_loop(backend: &'static str) {
    let running = group(backend, 3).start().expect("loops");
    for (number, index) in [(0, 0), (2, 2), (4, 1), (3_000_001, 1)] {
        assert_eq!(block_on(running.handle().spawn_on(number, here())).expect("an answer"), index);
    }
    running.handle().stop();
    running.join().expect("a good end");
}

fn g10_loops_start_tasks_on_each_other(backend: &'static str) {
    let running = group(backend, 3).start().expect("loops");
    let chain = running.handle().spawn_on(0, async {
        let group = GroupHandle::current().expect("a group");
        let next = group.spawn_on(1, async {
            let group = GroupHandle::current().expect("a group");
            let last = group.spawn_on(2, here()).await.expect("an answer");
            vec![here().await, last]
        });
        let mut loops = next.await.expect("an answer");
        loops.insert(0, here().await);
        loops
    });
    assert_eq!(block_on(chain).expect("an answer"), [0, 1, 2]);
    running.handle().stop();
    running.join().expect("a good end");
}

fn futures_that_are_not_send_are_made_there(backend: &'static str) {
    let running = group(backend, 2).start().expect("loops");
    let task = running.handle().spawn_with(|| {
        let shared = Rc::new(41);
        async move {
            sleep(Duration::from_millis(1)).await;
            *shared + 1
        }
    });
    assert_eq!(block_on(task).expect("an answer"), 42);
    running.handle().stop();
    running.join().expect("a good end");
}

fn g10_a_task_on_a_group_that_ended_answers_with_an_error(backend: &'static str) {
    let running = group(backend, 2).start().expect("loops");
    let handle = running.handle();
    let unfinished = handle.spawn(std::future::pending::<()>());
    handle.stop();
    running.join().expect("a good end");
    assert!(block_on(unfinished).is_err());
    assert!(block_on(handle.spawn(here())).is_err());
    assert!(stats(&handle).loops.is_empty(), "nobody is left to answer");
}

fn g10_closures_are_posted_to_a_loop(backend: &'static str) {
    let running = group(backend, 2).start().expect("loops");
    let (sender, receiver) = channel();
    for index in 0..2 {
        let sender = sender.clone();
        let tell = move || sender.send(Worker::current().map(|worker| worker.index())).expect("a test");
        running.handle().remote(index).post(tell).expect("a loop");
        assert_eq!(receiver.recv_timeout(PATIENCE).expect("an answer"), Some(index));
    }
    running.handle().stop();
    running.join().expect("a good end");
}

fn g11_loops_count_connections_and_turns(backend: &'static str) {
    let running = serving(backend, 2);
    let mut clients: Vec<_> = (0..10).map(|_| connect(port(&running)).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    clients.truncate(4);
    let last = wait_for("connections to end", || {
        let stats = stats(&running.handle());
        if stats.connections() == 4 { Ok(stats) } else { Err(format!("{} stand", stats.connections())) }
    });
    assert_eq!(last.accepted(), 10);
    assert_eq!(last.loops.iter().map(|stats| stats.index).collect::<Vec<_>>(), [0, 1]);
    assert!(last.loops.iter().all(|stats| stats.stats.turns > 0 && !stats.draining));
    assert_eq!(block_on(running.handle().stats_async()).expect("an answer").connections(), 4);
    running.handle().stop();
    let report = running.join().expect("a good end");
    assert!(report.loops.iter().all(|report| report.stats.turns > 0));
}

fn hooks_start_tasks(backend: &'static str) {
    let (sender, receiver) = channel();
    let group = group(backend, 2).on_start(move |worker| {
        let (sender, index) = (sender.clone(), worker.index());
        marline_tasks::spawn(async move {
            assert_eq!(here().await, index);
            sender.send(index).expect("a test");
        });
        Ok(())
    });
    let running = group.start().expect("loops");
    let mut loops: Vec<_> = (0..2).map(|_| receiver.recv_timeout(PATIENCE).expect("a task")).collect();
    loops.sort_unstable();
    assert_eq!(loops, [0, 1]);
    running.handle().stop();
    running.join().expect("a good end");
}
