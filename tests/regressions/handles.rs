//! Handles of tasks where it is easy to lose something: after a reset, at a limit, among readers without a ticket.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use futures::AsyncReadExt;
use marline_reactor::Builder;
use marline_tasks::{Listener, Stream, copy, run_on, sleep, spawn, timeout, yield_now};
use marline_tests::PATIENCE;
use marline_tests::backends::{self, reactor};

const MS: Duration = Duration::from_millis(1);

/// Two connected streams.
async fn pair() -> (Stream, Stream) {
    let listener = Listener::bind("tcp://127.0.0.1:0").expect("a listener");
    let client = Stream::connect(listener.local_address().expect("an address")).await.expect("a connection");
    (client, listener.accept().await.expect("a connection"))
}

/// A loss empties the queue of what waits. That is not the same as having sent it.
fn a_flush_after_a_reset_is_no_success(backend: &str) {
    run_on(&reactor(backend), async {
        let (client, server) = pair().await;
        client.transport().expect("a transport").abort();
        sleep(20 * MS).await;
        // Nobody reads, so the reset is met by the write.
        let written = server.write_all(b"lost").await;
        let flushed = server.flush().await;
        let error = written.and(flushed).expect_err("nothing was sent");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.close().await.expect_err("nor closed").kind(), ErrorKind::ConnectionReset);
        let copied = copy(&b"five!"[..], &server).await;
        assert_eq!(copied.expect_err("nor copied").kind(), ErrorKind::ConnectionReset);
    })
    .expect("a run");
}

/// The program's limit on posts is for the program's posts.
fn a_limit_on_posts_holds_up_no_handle_on_another_thread(backend: &str) {
    let backend = backends::backend(backend);
    let reactor = Builder::new().boxed_backend(backend).post_limit(0).build().expect("a loop");
    run_on(&reactor, async {
        let (client, server) = pair().await;
        thread::spawn(move || drop(server)).join().expect("no panic");
        let mut byte = [0];
        assert_eq!(timeout(PATIENCE, client.read(&mut byte)).await.expect("in time").expect("an end"), 0);

        let (client, server) = pair().await;
        let halves = thread::spawn(move || server.into_split()).join().expect("no panic");
        drop(halves);
        assert_eq!(timeout(PATIENCE, client.read(&mut byte)).await.expect("in time").expect("an end"), 0);

        let nap = sleep(MS);
        let waiter = thread::spawn(|| futures::executor::block_on(nap));
        while !waiter.is_finished() {
            sleep(MS).await;
        }

        let task = spawn(std::future::pending::<()>());
        let aborted = thread::spawn(move || {
            task.abort();
            task
        });
        assert!(aborted.join().expect("no panic").await.expect_err("an end").is_aborted());
    })
    .expect("a run");
}

/// Readers through the traits cannot be told apart, so nobody is refused; but nobody is forgotten either.
fn a17_readers_through_the_traits_are_all_woken(backend: &str) {
    run_on(&reactor(backend), async {
        let (client, server) = pair().await;
        let server = Rc::new(server);
        let got = Rc::new(Cell::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (server, got) = (Rc::clone(&server), Rc::clone(&got));
                spawn(async move {
                    let mut byte = [0];
                    (&*server).read_exact(&mut byte).await.expect("a byte");
                    got.set(got.get() + 1);
                })
            })
            .collect();
        yield_now().await;
        for count in 1..=3 {
            client.write_all(b"x").await.expect("a write");
            while got.get() < count {
                sleep(MS).await;
            }
        }
        for reader in readers {
            reader.await.expect("no panic");
        }
    })
    .expect("a run");
}

/// A reader with a ticket goes before those who wait without one, and does not end them.
fn a17_a_copy_survives_a_read_that_comes_between(backend: &str) {
    run_on(&reactor(backend), async {
        let (client, server) = pair().await;
        let server = Rc::new(server);
        let copied = Rc::new(RefCell::new(Vec::new()));
        let (from, into) = (Rc::clone(&server), Rc::clone(&copied));
        let copying = spawn(async move {
            let mut rest = Vec::new();
            (&*from).read_to_end(&mut rest).await.expect("the rest");
            *into.borrow_mut() = rest;
        });
        yield_now().await;
        let (reader, mut first) = (Rc::clone(&server), [0; 5]);
        let reading =
            spawn(async move { reader.read(&mut first).await.map(|count| first[..count].to_vec()) });
        yield_now().await;
        client.write_all(b"first").await.expect("a write");
        assert_eq!(reading.await.expect("no panic").expect("bytes"), b"first");
        client.write_all(b"the rest").await.expect("a write");
        client.close().await.expect("a close");
        copying.await.expect("no panic");
        assert_eq!(*copied.borrow(), b"the rest");
    })
    .expect("a run");
}

marline_tests::on_sockets! {
    a_flush_after_a_reset_is_no_success
    a_limit_on_posts_holds_up_no_handle_on_another_thread
    a17_readers_through_the_traits_are_all_woken
    a17_a_copy_survives_a_read_that_comes_between
}
