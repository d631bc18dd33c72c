//! What becomes of datagrams on their way through a network without a kernel.

use std::collections::BTreeMap;

use marline_reactor::Choices;
use marline_reactor::testing::{Delivery, MemoryReactor, Network};

use crate::support::{ANY, Talk};

const COUNT: usize = 400;

fn numbers_received(network: &Network) -> Vec<usize> {
    network.set_capacity(usize::MAX);
    let memory = MemoryReactor::on(network, &marline_reactor::testing::Clock::new());
    let (talk, talked) = Talk::new();
    let transport = memory.handle().bind_datagram(ANY, talk).expect("a socket");
    let to = transport.local_address().expect("an address");
    let peer = network.bind_datagram(ANY).expect("a scripted socket");
    for number in 0..COUNT {
        peer.send_to(number.to_string(), to.clone()).expect("it is sent");
    }
    memory.pump();
    let texts = talked.received().into_iter().map(|bytes| String::from_utf8(bytes).expect("digits"));
    texts.map(|text| text.parse().expect("a number")).collect()
}

#[test]
fn in_order_nothing_is_lost_doubled_or_late() {
    let network = Network::new(Choices::seeded(1));
    assert_eq!(numbers_received(&network), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn chance_loses_doubles_and_reorders_and_a_seed_repeats_it() {
    let run = |seed| {
        let network = Network::new(Choices::seeded(seed));
        network.set_delivery(Delivery::Chosen);
        numbers_received(&network)
    };
    for seed in 0..4 {
        let received = run(seed);
        let mut counts = BTreeMap::<usize, usize>::new();
        received.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
        assert!(counts.len() < COUNT, "some are lost");
        assert!(counts.len() > COUNT / 2, "most arrive");
        assert!(counts.values().any(|count| *count == 2), "some arrive twice");
        assert!(!received.is_sorted(), "some are late");
        assert_eq!(received, run(seed), "a seed repeats it");
    }
}
