//! S: addresses of connections.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;

use marline_reactor::{Address, Transport};

use crate::conformance;
use crate::support::{Log, Trace, World, address_of, skip};

/// Both addresses of a transport, as far as it knows them.
type Ends = (Option<Address>, Option<Address>);

/// Connects through `listen`, and asks for the addresses in every callback of the listener's side.
fn known_from_made_to_lost(world: &World, listen: SocketAddr) {
    let (log, seen) = (Log::new(), Rc::new(RefCell::new(Vec::<Ends>::new())));
    let (inside, ends) = (log.clone(), Rc::clone(&seen));
    let server = world
        .handle()
        .listen(format!("tcp://{listen}"), move |_: &marline_reactor::Addresses| {
            let ends = Rc::clone(&ends);
            Trace::new(&inside).with(move |transport, _, _| {
                ends.borrow_mut().push((transport.local_address(), transport.peer_address()));
            })
        })
        .expect("a listener");
    let address = address_of(&server);
    let client = Rc::new(RefCell::new(None));
    let (made, client_log) = (Rc::clone(&client), Log::new());
    let protocol = client_log.clone();
    world.handle().connect(
        format!("tcp://{address}"),
        move |_: &marline_reactor::Addresses| Trace::new(&protocol),
        move |outcome| *made.borrow_mut() = Some(outcome.expect("a connection")),
    );
    world.until(|| client.borrow().is_some() && !log.all().is_empty());
    let client: Transport = client.take().expect("a connection");
    let (near, far) = (client.local_address(), client.peer_address());
    assert_eq!(far, Some(Address::Inet(address)), "where it connected to");
    client.write(b"data");
    client.close();
    world.until(|| log.is_lost() && client_log.is_lost());
    assert_eq!((client.local_address(), client.peer_address()), (None, None), "after connection_lost");
    let seen = seen.borrow();
    // made, data, end, loss: at least four callbacks, each with both addresses.
    assert!(seen.len() >= 4, "{seen:?}");
    assert!(seen.iter().all(|ends| *ends == (far.clone(), near.clone())), "{seen:?}");
    server.stop();
    world.settle();
}

/// An address of this machine that is valid on one link only, with the number of the link.
fn link_local() -> Option<SocketAddrV6> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let ip = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
        let scope = u32::from_str_radix(words.next()?, 16).ok()?;
        (ip.segments()[0] & 0xffc0 == 0xfe80).then(|| SocketAddrV6::new(ip, 0, 0, scope))
    })
}

conformance! {
    fn s35_addresses_v4(world: &World) {
        known_from_made_to_lost(world, SocketAddr::from(([127, 0, 0, 1], 0)));
    }

    fn s35_addresses_v6(world: &World) {
        let no_v6 = std::net::TcpListener::bind("[::1]:0").is_err();
        if no_v6 && !world.is_memory() {
            return skip("this machine has no IPv6");
        }
        known_from_made_to_lost(world, SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
    }

    fn s35_addresses_v6_with_scope(world: &World) {
        let scoped = match world.as_memory() {
            Some(memory) => {
                let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
                memory.network().add_host("neighbour", vec![IpAddr::V6(ip)]);
                SocketAddrV6::new(ip, 0, 0, 7)
            }
            None => match link_local() {
                Some(address) => address,
                None => return skip("this machine has no link-local address"),
            },
        };
        known_from_made_to_lost(world, scoped.into());
    }

    fn s35_a_failed_connection_knows_them_in_connection_lost(world: &World) {
        let (log, seen) = (Log::new(), Rc::new(RefCell::new(Vec::new())));
        let ends = Rc::clone(&seen);
        let (transport, _raw) = world.accept_one(Trace::new(&log).with(move |transport, _, _| {
            ends.borrow_mut().push((transport.local_address(), transport.peer_address()));
        }));
        let known = (transport.local_address(), transport.peer_address());
        transport.abort();
        assert_eq!((transport.local_address(), transport.peer_address()), known, "until the loss is told");
        world.until(|| log.is_lost());
        assert_eq!(*seen.borrow(), [known.clone(), known]);
        assert_eq!(transport.local_address(), None);
    }
}

#[test]
fn s35_addresses_of_unix_sockets() {
    skip("there are no UNIX sockets yet");
}
