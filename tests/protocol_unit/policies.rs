//! Every policy forwards every callback, and what its protocol answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use marline::policy::{
    ConnectionLimit, Event, IdleTimeout, Policy, RateLimit, TotalTimeout, TrafficLog, Wrapper, wrap,
};
use marline::prelude::*;
use marline::testing::Recorder;

type Counts = Rc<RefCell<BTreeMap<&'static str, usize>>>;

/// Counts the calls of each of its methods.
#[derive(Clone, Default)]
struct Probe {
    counts: Counts,
    memory: [u8; 4],
}

impl Probe {
    fn called(&self, name: &'static str) {
        *self.counts.borrow_mut().entry(name).or_default() += 1;
    }
}

impl Protocol for Probe {
    fn connection_made(&mut self, _: &Transport) {
        self.called("connection_made");
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        assert_eq!(data, b"data");
        self.called("data_received");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.called("receive_buffer");
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        assert_eq!(count, 3);
        self.called("buffer_filled");
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.called("eof_received");
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, _: &Transport) {
        self.called("pause_writing");
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.called("resume_writing");
    }

    fn drained(&mut self, _: &Transport) {
        self.called("drained");
    }

    fn peer_closed(&mut self, _: &Transport) {
        self.called("peer_closed");
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(matches!(lost.reason(), Reason::Aborted));
        self.called("connection_lost");
    }

    fn replaced(&mut self) -> Vec<u8> {
        self.called("replaced");
        b"rest".to_vec()
    }
}

/// Writes down what it sees.
#[derive(Default)]
struct Watcher(Rc<RefCell<Vec<String>>>);

impl Policy for Watcher {
    fn before(&mut self, _: &Transport, event: Event<'_>) {
        self.0.borrow_mut().push(format!("before {event:?}"));
    }

    fn after(&mut self, _: &Transport, event: Event<'_>) {
        self.0.borrow_mut().push(format!("after {event:?}"));
    }

    fn replaced(&mut self) {
        self.0.borrow_mut().push("replaced".to_owned());
    }
}

/// How a connection ended that was aborted.
fn aborted() -> Lost {
    let recorder = Recorder::new();
    recorder.transport().abort();
    recorder.lost().expect("a loss")
}

/// Calls every callback once.
fn drive(protocol: &mut impl Protocol) {
    let recorder = Recorder::new();
    let transport = recorder.transport();
    protocol.connection_made(transport);
    protocol.data_received(transport, b"data");
    assert_eq!(protocol.receive_buffer().map(|memory| memory.len()), Some(4));
    protocol.buffer_filled(transport, 3);
    assert_eq!(protocol.eof_received(transport), OnEof::KeepOpen);
    protocol.pause_writing(transport);
    protocol.resume_writing(transport);
    protocol.drained(transport);
    protocol.peer_closed(transport);
    protocol.connection_lost(transport, &aborted());
    assert_eq!(protocol.replaced(), b"rest");
}

/// Everything that can be put around a protocol.
fn policies(probe: &Probe) -> Vec<(&'static str, Box<dyn Protocol>)> {
    let (minute, probe) = (Duration::from_secs(60), || probe.clone());
    let address = ([127, 0, 0, 1], 1).into();
    let addresses =
        Addresses { local: marline::Address::Inet(address), peer: marline::Address::Inet(address) };
    let again = probe();
    let limited = ConnectionLimit::new().wrap(move |_: &Addresses| again.clone())(&addresses);
    let again = probe();
    let wrapped = wrap(move |_: &Addresses| again.clone(), |inner| Wrapper::with(Watcher::default(), inner));
    let wrapped = { wrapped }(&addresses);
    vec![
        ("nothing", Box::new(probe())),
        ("IdleTimeout", Box::new(IdleTimeout::new(minute, probe()))),
        ("TotalTimeout", Box::new(TotalTimeout::new(minute, probe()))),
        ("RateLimit", Box::new(RateLimit::new(1, 1, probe()))),
        ("TrafficLog", Box::new(TrafficLog::new("probe", probe()).with_hex(4))),
        ("ConnectionLimit", Box::new(limited.expect("a protocol"))),
        ("wrap", Box::new(wrapped.expect("a protocol"))),
        ("one's own", Box::new(Wrapper::with(Watcher::default(), probe()))),
        ("all", Box::new(IdleTimeout::new(minute, TotalTimeout::new(minute, RateLimit::new(1, 1, probe()))))),
    ]
}

#[test]
fn every_policy_forwards_every_callback() {
    let probe = Probe::default();
    let mut expected = None;
    for (name, mut protocol) in policies(&probe) {
        drive(&mut protocol);
        let counts = probe.counts.take();
        assert!(counts.values().all(|count| *count == 1), "{name}: {counts:?}");
        // The first is the probe itself.
        assert_eq!(expected.get_or_insert_with(|| counts.clone()), &counts, "{name}");
    }
    assert_eq!(expected.map(|counts| counts.len()), Some(11));
}

#[test]
fn a_policy_hears_before_and_after_its_protocol() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let probe = Probe::default();
    let mut protocol = Wrapper::with(Watcher(Rc::clone(&seen)), probe);
    drive(&mut protocol);
    assert_eq!(protocol.get_mut().counts.borrow().len(), 11);
    let seen = seen.take();
    let names: Vec<&str> = seen.iter().map(|line| line.split(['(', '{']).next().unwrap_or("")).collect();
    let events = [
        "Made",
        "Received",
        "Filled",
        "Eof",
        "PauseWriting",
        "ResumeWriting",
        "Drained",
        "PeerClosed",
        "Lost",
    ];
    let mut expected: Vec<String> =
        events.iter().flat_map(|event| [format!("before {event}"), format!("after {event}")]).collect();
    expected.push("replaced".to_owned());
    assert_eq!(names, expected);
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let from = |ip: std::net::IpAddr, port| Addresses {
        local: marline::Address::Inet(([127, 0, 0, 1], 1).into()),
        peer: marline::Address::Inet((ip, port).into()),
    };
    let (one, mapped, other) = ([192, 0, 2, 1], [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201], [192, 0, 2, 2]);
    let limit = ConnectionLimit::new().total(3).per_peer(2);
    let first = limit.admit(&from(one.into(), 1)).expect("the first");
    let second = limit.admit(&from(mapped.into(), 2)).expect("the second");
    assert!(limit.admit(&from(one.into(), 3)).is_none());
    assert!(limit.admit(&from(mapped.into(), 3)).is_none());
    let third = limit.admit(&from(other.into(), 1)).expect("another address");
    assert!(limit.admit(&from([192, 0, 2, 3].into(), 1)).is_none(), "there are three in all");
    drop((first, second));
    assert_eq!((limit.connections(), limit.connections_from(one.into())), (1, 0));
    assert_eq!((limit.connections_from(other.into()), limit.refused()), (1, 3));
    drop(third);
    assert!(limit.clone().total(0).admit(&from(one.into(), 1)).is_none(), "clones are one limit");
    assert!(limit.admit(&from(one.into(), 1)).is_none());
}
