//! Datagrams, awaited.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::SendError;
use marline_tasks::{DatagramSocket, WrongThread, gather, spawn_on, timeout, yield_now};
use rustix::io::Errno;

use crate::conformance;
use crate::support::{ANY, World};

/// Runs `task` on the world's loop, to its end.
#[track_caller]
pub fn run<F: Future<Output = ()> + 'static>(world: &World, task: F) {
    let done = Rc::new(Cell::new(false));
    let set = Rc::clone(&done);
    let handle = spawn_on(&world.handle(), async move {
        task.await;
        set.set(true);
    });
    world.until(|| done.get() || handle.is_finished());
    assert!(done.get(), "the task failed");
}

conformance! {
    fn dg01_datagrams_are_awaited_one_by_one_with_their_senders(world: &World) {
        run(world, async {
            let server = DatagramSocket::bind(ANY).expect("a socket");
            let address = server.local_address().expect("an address");
            let client = DatagramSocket::connect(address.clone()).expect("a socket");
            assert_eq!(client.peer_address().ok(), Some(address));
            assert!(server.peer_address().is_err());
            for bytes in [&b"one"[..], b"", b"three"] {
                client.send(bytes).await.expect("it is sent");
            }
            let mut buffer = [0; 3];
            let own = client.local_address().expect("an address");
            for (count, kept) in [(3, &b"one"[..]), (0, b""), (3, b"thr")] {
                let (received, sender) = server.recv_from(&mut buffer).await.expect("a datagram");
                assert_eq!((received, &buffer[..received], &sender), (count, kept, &own));
                server.send_to(&buffer[..received], sender).await.expect("it is sent");
            }
            assert_eq!(client.recv(&mut buffer).await.ok(), Some(3));
            assert_eq!(client.recv(&mut buffer).await.ok(), Some(0));
            assert_eq!(client.recv(&mut buffer).await.ok(), Some(3));
        });
    }

    fn dg02_an_error_is_answered_once_and_the_socket_goes_on(world: &World) {
        world.with_faults(|world, faults| {
            let faults = faults.clone();
            run(world, async move {
                let server = DatagramSocket::bind(ANY).expect("a socket");
                let address = server.local_address().expect("an address");
                let client = DatagramSocket::connect(address).expect("a socket");
                faults.fail_sends([Errno::PERM]);
                client.send(b"refused").await.expect("it is accepted");
                let mut buffer = [0; 16];
                let error = client.recv(&mut buffer).await.expect_err("the refusal");
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                assert!(client.take_error().expect("this is its thread").is_none());
                client.send(b"sent").await.expect("it is accepted");
                assert_eq!(server.recv(&mut buffer).await.ok(), Some(4));
            });
        });
    }

    fn dg04_dg07_dg08_what_cannot_be_sent_is_an_error_at_the_call(world: &World) {
        run(world, async {
            let server = DatagramSocket::bind(ANY).expect("a socket");
            let address = server.local_address().expect("an address");
            let client = DatagramSocket::connect(address).expect("a socket");
            let ipv6: std::net::SocketAddr = "[::1]:7".parse().expect("an address");
            let large = vec![0; 70_000];
            let too_large = client.send(&large).await.expect_err("too large");
            let wrong_kind = client.send_to(b"x", ipv6).await.expect_err("another kind");
            let other = client.send_to(b"x", ANY).await.expect_err("somebody else");
            let nobody = server.send(b"x").await.expect_err("nobody");
            let inner = |error: &std::io::Error| {
                error.get_ref().and_then(|inner| inner.downcast_ref::<SendError>()).cloned()
            };
            assert!(matches!(inner(&too_large), Some(SendError::TooLarge { size: 70_000, .. })));
            assert!(matches!(inner(&wrong_kind), Some(SendError::WrongFamily { .. })));
            assert!(matches!(inner(&other), Some(SendError::OtherTarget { .. })));
            assert!(matches!(inner(&nobody), Some(SendError::NoTarget)));
        });
    }

    fn a13_a_receive_that_loses_a_race_loses_no_datagram(world: &World) {
        run(world, async {
            let server = DatagramSocket::bind(ANY).expect("a socket");
            let address = server.local_address().expect("an address");
            let client = DatagramSocket::connect(address).expect("a socket");
            let mut buffer = [0; 16];
            assert!(timeout(Duration::from_millis(1), server.recv(&mut buffer)).await.is_err());
            for number in 0..20_u8 {
                client.send(&[number]).await.expect("it is sent");
            }
            let mut received = Vec::new();
            while received.len() < 20 {
                let raced = timeout(Duration::ZERO, async {
                    yield_now().await;
                    server.recv(&mut buffer).await
                });
                if let Ok(count) = raced.await {
                    assert_eq!(count.ok(), Some(1));
                    received.push(buffer[0]);
                } else {
                    assert_eq!(server.recv(&mut buffer).await.ok(), Some(1));
                    received.push(buffer[0]);
                }
            }
            assert_eq!(received, (0..20).collect::<Vec<u8>>());
        });
    }

    fn a17_a_second_receiver_gets_an_error_and_the_first_is_not_disturbed(world: &World) {
        run(world, async {
            let server = DatagramSocket::bind(ANY).expect("a socket");
            let address = server.local_address().expect("an address");
            let client = DatagramSocket::connect(address).expect("a socket");
            let (mut one, mut other) = ([0; 8], [0; 8]);
            let second = async {
                let error = server.recv(&mut other).await.expect_err("the first waits");
                assert_eq!(error.kind(), ErrorKind::ResourceBusy);
                client.send(b"first").await
            };
            let (first, sent) = gather!(server.recv(&mut one), second).await.expect("both go well");
            assert_eq!((first, sent, &one[..5]), (5, (), &b"first"[..]));
            client.send(b"next").await.expect("it is sent");
            assert_eq!(server.recv(&mut other).await.ok(), Some(4));
        });
    }

    fn a24_what_nobody_receives_is_left_to_the_system(world: &World) {
        run(world, async {
            let server = DatagramSocket::bind(ANY).expect("a socket");
            let address = server.local_address().expect("an address");
            let client = DatagramSocket::connect(address).expect("a socket");
            let transport = server.transport().expect("this is its thread");
            for number in 0..120_u8 {
                client.send(&[number]).await.expect("it is sent");
            }
            while transport.is_reading() {
                marline_tasks::sleep(Duration::from_millis(1)).await;
            }
            let mut buffer = [0; 8];
            for number in 0..120_u8 {
                assert_eq!(server.recv(&mut buffer).await.ok(), Some(1));
                assert_eq!(buffer[0], number);
            }
            assert!(transport.is_reading());
        });
    }

    fn a_send_waits_for_room_and_goes_on(world: &World) {
        world.with_faults(|world, faults| {
            let faults = faults.clone();
            run(world, async move {
                let server = DatagramSocket::bind(ANY).expect("a socket");
                let address = server.local_address().expect("an address");
                let client = DatagramSocket::connect(address).expect("a socket");
                client.transport().and_then(|transport| {
                    transport.set_watermarks(0, 1).map_err(std::io::Error::other)
                }).expect("they are in order");
                faults.hold_sends();
                client.send(b"one").await.expect("there is room");
                let waits = timeout(Duration::from_millis(20), client.send(b"never")).await;
                assert!(waits.is_err(), "there was no room");
                faults.release_sends();
                client.send(b"two").await.expect("there is room again");
                let mut buffer = [0; 8];
                for expected in [&b"one"[..], b"two"] {
                    let count = server.recv(&mut buffer).await.expect("a datagram");
                    assert_eq!(&buffer[..count], expected);
                }
            });
        });
    }

    fn a27_on_another_thread_there_are_errors_and_a_drop_ends_the_socket(world: &World) {
        let socket = world.handle().enter(|| DatagramSocket::bind(ANY)).expect("a socket");
        world.settle();
        assert_eq!(world.handle().stats().datagram_sockets, 1);
        std::thread::spawn(move || {
            let error = socket.local_address().expect_err("another thread");
            assert!(error.get_ref().is_some_and(|inner| inner.is::<WrongThread>()));
            drop(socket);
        }).join().expect("no panic");
        world.until(|| world.handle().stats().datagram_sockets == 0);
    }
}

#[test]
fn without_a_loop_there_is_no_socket() {
    assert!(matches!(DatagramSocket::bind(ANY), Err(marline_reactor::DatagramError::Over)));
}
