//! DG: datagrams of UNIX sockets, which lose nothing.

use std::cell::Cell;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;

use marline_reactor::{Address, DatagramError, SendError, UnixAddress};
use marline_tests::wait_until_refused;

use crate::conformance;
use crate::support::{Said, Talk, World, free_name};

conformance! {
    fn dg01_unix_datagrams_come_with_the_name_of_their_sender(world: &World) {
        let (server, client) = (Address::from(free_name()), Address::from(free_name()));
        let (talk, heard) = Talk::acting(|transport, data, sender| {
            if sender.as_unix().is_some_and(UnixAddress::is_unnamed) {
                assert_eq!(transport.send_to(data, sender), Err(SendError::NoTarget));
            } else {
                transport.send_to(data, sender).expect("it is accepted");
            }
        });
        let handle = world.handle();
        let bound = handle.bind_datagram(server.clone(), talk).expect("a socket");
        assert_eq!(bound.local_address(), Some(server.clone()));
        let again = handle.bind_datagram(server.clone(), Talk::new().0);
        assert!(matches!(again, Err(DatagramError::InUse { .. })), "{again:?}");
        let (talk, answered) = Talk::new();
        let named = handle.bind_datagram(client, talk).expect("a socket");
        let nameless = handle.connect_datagram(server.clone(), Talk::new().0).expect("a socket");
        named.send_to(b"answer me", &server).expect("it is accepted");
        named.send_to(b"", &server).expect("it is accepted");
        nameless.send(b"I have no name").expect("it is accepted");
        world.until(|| heard.received().len() == 3);
        world.until(|| answered.received() == [b"answer me".to_vec(), Vec::new()]);
    }

    fn dg09_a_full_receiver_keeps_its_sender_waiting_and_loses_nothing(world: &World) {
        const COUNT: usize = 3000;
        for connected in [false, true] {
            let server = Address::from(free_name());
            let (talk, heard) = Talk::new();
            let receiver = world.handle().bind_datagram(server.clone(), talk).expect("a socket");
            receiver.pause_reading();
            let (talk, told) = Talk::new();
            let sender = if connected {
                world.handle().connect_datagram(server.clone(), talk)
            } else {
                world.handle().bind_datagram(Address::from(free_name()), talk)
            };
            let sender = sender.expect("a socket");
            let refused = Rc::new(Cell::new(0));
            for number in 0..COUNT {
                let bytes = format!("{number:0100}");
                match sender.send_to(bytes, &server) {
                    Ok(_) => {}
                    Err(SendError::Full { .. }) => refused.set(refused.get() + 1),
                    Err(error) => panic!("{error}"),
                }
            }
            world.until(|| told.has(&Said::Paused));
            receiver.resume_reading();
            world.until(|| heard.received().len() == COUNT - refused.get());
            world.until(|| told.flow() == [Said::Paused, Said::Resumed]);
            let numbers = heard.received().into_iter().map(|bytes| String::from_utf8(bytes).expect("a number"));
            assert!(numbers.enumerate().all(|(index, number)| number == format!("{index:0100}")));
        }
    }
}

/// U01 holds for these sockets, too: a file with the mode that was asked for, a stale one replaced, and gone in the end.
#[test]
fn a_socket_file_is_made_replaced_and_removed() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = std::env::temp_dir().join(format!("marline-dg-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("socket");
    for world in World::each().iter().filter(|world| !world.is_memory()) {
        // It leaves its file behind.
        drop(UnixDatagram::bind(&path).expect("a socket"));
        wait_until_refused(|| UnixDatagram::unbound()?.connect(&path));
        let mut options = marline_reactor::DatagramOptions::bind(UnixAddress::path(&path));
        options.mode = Some(0o640);
        let (talk, talked) = Talk::new();
        let transport = world.handle().open_datagram(&options, talk).expect("a socket");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let second = world.handle().open_datagram(&options, Talk::new().0);
        assert!(matches!(second, Err(DatagramError::InUse { .. })));
        transport.close();
        world.until(|| talked.is_lost());
        assert!(!path.exists());
    }
    std::fs::remove_dir_all(&folder).expect("the folder is empty");
}
