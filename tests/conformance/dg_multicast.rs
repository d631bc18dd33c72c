//! DG: many receivers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use marline_reactor::{
    Address, DatagramOptions, DatagramTransport, MulticastError, MulticastInterface, SendError,
};

use crate::conformance;
use crate::support::{ANY, Said, Talk, Talked, World, skip};

/// Groups for use within an organisation (RFC 2365).
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 255, 77, 1));
const LOOPBACK: MulticastInterface = MulticastInterface::Address(Ipv4Addr::LOCALHOST);

/// A socket on all interfaces, and what was told of it.
fn open(world: &World, port: u16) -> (DatagramTransport, Talked) {
    let (talk, talked) = Talk::new();
    let mut options = DatagramOptions::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    options.reuse_address = true;
    let transport = world.handle().open_datagram(&options, talk).expect("a socket");
    transport.set_multicast_interface(LOOPBACK).expect("an interface");
    (transport, talked)
}

fn port(transport: &DatagramTransport) -> u16 {
    transport.local_address().and_then(|address| address.as_inet()).expect("an address").port()
}

conformance! {
    fn dg10_members_of_a_group_receive_what_is_sent_to_it(world: &World) {
        let (one, heard_by_one) = open(world, 0);
        let (other, heard_by_other) = open(world, port(&one));
        let (sender, _) = open(world, 0);
        let group = Address::from(SocketAddr::new(GROUP, port(&one)));
        one.join_multicast(GROUP, LOOPBACK).expect("a member");
        other.join_multicast(GROUP, LOOPBACK).expect("a member");
        sender.set_multicast_ttl(0).expect("it stays on this machine");
        sender.send_to(b"to all", &group).expect("it is accepted");
        for heard in [&heard_by_one, &heard_by_other] {
            world.until(|| heard.has(&Said::Received(b"to all".to_vec())));
        }
        other.leave_multicast(GROUP, LOOPBACK).expect("it was a member");
        assert!(other.leave_multicast(GROUP, LOOPBACK).is_err(), "it is no member");
        sender.send_to(b"to one", &group).expect("it is accepted");
        world.until(|| heard_by_one.has(&Said::Received(b"to one".to_vec())));
        world.settle();
        assert_eq!(heard_by_one.received().len(), 2);
    }

    fn dg10_without_loopback_this_machine_hears_nothing(world: &World) {
        let (member, heard) = open(world, 0);
        let group = Address::from(SocketAddr::new(GROUP, port(&member)));
        member.join_multicast(GROUP, LOOPBACK).expect("a member");
        let (sender, _) = open(world, 0);
        assert!(matches!(sender.set_multicast_ttl(256), Err(MulticastError::System(_))));
        sender.set_multicast_loop(false).expect("an option");
        if !world.is_memory() {
            return skip("the loopback interface brings everything back, whatever is asked for, and is all that every machine has");
        }
        sender.send_to(b"unheard", &group).expect("it is accepted");
        world.turn_a_little();
        sender.set_multicast_loop(true).expect("an option");
        sender.send_to(b"heard", &group).expect("it is accepted");
        world.until(|| !heard.received().is_empty());
        world.settle();
        assert_eq!(heard.received(), [b"heard".to_vec()]);
    }

    fn dg10_joining_a_unicast_address_fails(world: &World) {
        let (transport, _) = open(world, 0);
        let unicast = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let joined = transport.join_multicast(unicast, MulticastInterface::Any);
        assert!(matches!(joined, Err(MulticastError::NotMulticast { group }) if group == unicast));
        let ipv6 = "ff02::1".parse().expect("a group");
        let joined = transport.join_multicast(ipv6, MulticastInterface::Any);
        assert!(matches!(joined, Err(MulticastError::WrongFamily { group, .. }) if group == ipv6));
        transport.abort();
        let joined = transport.join_multicast(GROUP, LOOPBACK);
        assert!(matches!(joined, Err(MulticastError::Closed)));
    }

    fn broadcasts_are_refused_unless_they_were_asked_for(world: &World) {
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let everybody = Address::from(SocketAddr::from((Ipv4Addr::BROADCAST, 9)));
        transport.send_to(b"x", &everybody).expect("it is accepted");
        world.until(|| talked.has(&Said::Error(std::io::ErrorKind::PermissionDenied)));
        transport.set_broadcast(true).expect("an option");
        transport.abort();
        assert!(transport.set_broadcast(true).is_err());
        assert_eq!(transport.send_to(b"x", &everybody), Err(SendError::Closed));
    }
}
