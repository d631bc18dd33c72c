//! Connections that keep records apart, awaited.

use std::io::ErrorKind;
use std::time::Duration;

use marline_reactor::{DatagramOptions, Handle, UnixAddress};
use marline_tasks::{DatagramSocket, PacketListener, WrongThread, timeout};
use marline_tests::wait_until_refused;

use crate::conformance;
use crate::dg_async::run;
use crate::dg_packets::has_none;
use crate::support::{World, free_name};

/// So many connections wait for an accept at most.
const WAITING: usize = 64;

fn connect(name: &UnixAddress) -> DatagramSocket {
    let mut options = DatagramOptions::connect(name.clone());
    options.packets = true;
    DatagramSocket::open(&options).expect("a connection")
}

/// Runs a task with a listener where there are such connections.
#[track_caller]
fn with_listener<F: Future<Output = ()> + 'static>(
    world: &World,
    task: impl FnOnce(PacketListener, UnixAddress) -> F + 'static,
) {
    if has_none(world) {
        return;
    }
    run(world, async {
        let name = free_name();
        let listener = PacketListener::bind(&name).expect("a listener");
        task(listener, name).await;
    });
}

conformance! {
    fn dg01_records_on_an_accepted_connection_are_awaited_one_by_one(world: &World) {
        with_listener(world, |listener, name| async move {
            assert_eq!(listener.local_address().ok(), Some(name.clone().into()));
            let both = marline_tasks::gather!(listener.accept(), async { Ok::<_, std::io::Error>(connect(&name)) });
            let (server, client) = both.await.expect("a connection");
            let mut buffer = [0; 16];
            for record in [&b"one"[..], b"", b"three"] {
                client.send(record).await.expect("it is sent");
                assert_eq!(server.recv(&mut buffer).await.ok(), Some(record.len()));
                server.send(&buffer[..record.len()]).await.expect("it is sent");
                assert_eq!(client.recv(&mut buffer).await.ok(), Some(record.len()));
                assert_eq!(&buffer[..record.len()], record);
            }
            drop(client);
            assert!(server.recv(&mut buffer).await.is_err(), "the peer is gone");
        });
    }

    fn dg01_what_was_sent_before_the_accept_is_received_after_it(world: &World) {
        with_listener(world, |listener, name| async move {
            let clients: Vec<_> = (0..100).map(|_| connect(&name)).collect();
            for (number, client) in clients.iter().enumerate() {
                client.send(&[u8::try_from(number).expect("a small number")]).await.expect("it is sent");
            }
            let mut buffer = [0; 16];
            for number in 0..100 {
                let server = listener.accept().await.expect("a connection");
                assert_eq!(server.recv(&mut buffer).await.ok(), Some(1));
                assert_eq!(buffer[0], number, "in order");
            }
        });
    }

    fn connections_of_records_that_nobody_accepts_are_left_to_the_system(world: &World) {
        with_listener(world, |listener, name| async move {
            let sockets = || Handle::current().expect("a loop").stats().datagram_sockets;
            let clients: Vec<_> = (0..200).map(|_| connect(&name)).collect();
            let before = sockets();
            while sockets() < before + WAITING {
                marline_tasks::sleep(Duration::from_millis(1)).await;
            }
            // It would not stop there.
            for _ in 0..20 {
                marline_tasks::sleep(Duration::from_millis(1)).await;
                assert_eq!(sockets(), before + WAITING);
            }
            for client in &clients {
                client.send(b"here").await.expect("it is sent");
                let server = listener.accept().await.expect("a connection");
                assert_eq!(server.recv(&mut [0; 16]).await.ok(), Some(4));
            }
        });
    }

    fn an_accept_of_records_that_is_given_up_takes_no_connection(world: &World) {
        with_listener(world, |listener, name| async move {
            let given_up = timeout(Duration::from_millis(1), listener.accept()).await;
            assert!(given_up.is_err(), "nobody came");
            let client = connect(&name);
            client.send(b"here").await.expect("it is sent");
            let server = listener.accept().await.expect("a connection");
            assert_eq!(server.recv(&mut [0; 16]).await.ok(), Some(4));
        });
    }

    fn a_listener_of_records_that_is_dropped_listens_no_more(world: &World) {
        with_listener(world, |listener, name| async move {
            let client = connect(&name);
            // One is accepted, and waits for nobody.
            marline_tasks::sleep(Duration::from_millis(5)).await;
            drop(listener);
            let error = client.recv(&mut [0; 16]).await.expect_err("the end");
            assert_ne!(error.kind(), ErrorKind::ResourceBusy);
            let mut options = DatagramOptions::connect(name);
            options.packets = true;
            wait_until_refused(|| DatagramSocket::open(&options));
        });
    }

    fn on_another_thread_a_listener_of_records_answers_with_an_error(world: &World) {
        with_listener(world, |listener, _| async move {
            let thread = std::thread::spawn(move || {
                let error = listener.local_address().expect_err("another thread");
                error.get_ref().is_some_and(|inner| inner.is::<WrongThread>())
            });
            assert!(thread.join().expect("a thread"));
        });
    }
}
