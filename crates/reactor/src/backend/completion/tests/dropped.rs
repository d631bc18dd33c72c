use super::*;
use crate::backend::completion::connection::CONNECTING;

/// How many connections have three operations under way each.
const MANY: usize = 400;

/// Q02: a ring that is dropped waits for the kernel, however much is under way, and then everything is let go.
#[test]
fn q02_a_dropped_ring_ends_what_is_under_way_and_frees_everything() {
    for closed_first in [false, true] {
        for mut rig in Rig::each() {
            let counted = Counted::default();
            let pairs = rig.connections(MANY);
            for (key, _) in &pairs {
                rig.backend.watch_peer(*key);
                // So that the kernel takes little of it.
                SockRef::from(rig.at(*key).socket().unwrap()).set_send_buffer_size(4096).unwrap();
                rig.backend.send(*key, counted.outgoing(2, 1 << 17));
            }
            rig.resend_until_full();
            // A connect and an accept, too.
            let (listener, _) = rig.listen();
            let (deaf, _crowd) = dead_end();
            let connecting = rig.key();
            rig.backend.connect(connecting, &deaf, &ConnectOptions::default()).unwrap();
            rig.settle();
            assert!(rig.at(connecting).is(CONNECTING));
            assert_eq!(counted.drops(), 0);
            assert!(pairs.iter().all(|(key, _)| rig.at(*key).under_way == 3));
            if closed_first {
                let all = pairs.iter().map(|(key, _)| *key).chain([listener, connecting]);
                all.for_each(|key| {
                    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending))
                });
            }
            drop(rig);
            assert_eq!(counted.drops(), 2 * MANY);
            assert!(pairs.iter().all(|(_, peer)| is_ended(peer)));
        }
    }
}

/// Where connects wait for ever: a listener that takes no more, and what fills it.
fn dead_end() -> (Address, Vec<socket2::Socket>) {
    let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = tcp();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut crowd = vec![listener];
    for _ in 0..5 {
        let socket = tcp();
        socket.set_nonblocking(true).unwrap();
        drop(socket.connect(&address));
        crowd.push(socket);
    }
    (address.as_socket().unwrap().into(), crowd)
}
