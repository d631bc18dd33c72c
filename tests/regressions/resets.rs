//! A peer that resets, or ends, in the middle of everything.
//!
//! A connection goes through its life step by step, and at each step in turn its peer goes away. Whatever the
//! step, every protocol is told in order, one loss comes, and nothing is left behind.

use std::cell::RefCell;
use std::time::Duration;

use marline_reactor::Transport;

use crate::conformance;
use crate::support::{Event, Log, Raw, Trace, World};

/// What a connection, or its peer, does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    PeerWrites,
    Write,
    Flush,
    Turn,
    Pause,
    Watch,
    Unread,
    Resume,
    NotifyDrained,
    Flood,
    Replace,
    PeerReads,
    PeerFinishes,
    WriteEof,
    Close,
}

use Step::*;

/// Lives, each of which tries another mixture.
const LIVES: [&[Step]; 5] = [
    &[PeerWrites, Turn, Write, Flush, PeerWrites, Turn, PeerFinishes, Turn, Write, Close, Turn],
    &[Pause, Watch, PeerWrites, Turn, Unread, Write, Turn, Resume, Turn, WriteEof, Turn, PeerFinishes, Turn],
    &[Flood, Turn, NotifyDrained, PeerReads, Turn, Replace, Turn, PeerReads, Turn, Close, PeerReads, Turn],
    &[PeerWrites, Replace, Unread, Flood, Close, Turn, PeerReads, Turn, PeerFinishes, Turn],
    &[Watch, PeerFinishes, Turn, Pause, Flood, Replace, Resume, Turn, WriteEof, PeerReads, Turn, Close, Turn],
];

/// How the peer goes away.
const WAYS: [fn(&Raw); 2] = [Raw::reset, Raw::close];

struct Scene<'a> {
    world: &'a World,
    transport: Transport,
    raw: Raw,
    /// What each protocol of the connection was told, the first one's first.
    logs: RefCell<Vec<Log>>,
}

impl<'a> Scene<'a> {
    fn new(world: &'a World) -> Self {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        transport.set_close_timeout(Duration::from_millis(200));
        Self { world, transport, raw, logs: RefCell::new(vec![log]) }
    }

    fn take(&self, step: Step) {
        let transport = &self.transport;
        match step {
            PeerWrites => drop(self.raw.write(&[b'p'; 3000])),
            Write => drop(transport.write([b'w'; 3000])),
            Flush => transport.flush(),
            Turn => self.world.turn_a_little(),
            Pause => transport.pause_reading(),
            Watch => transport.watch_peer(),
            Unread => transport.unread(b"unread"),
            Resume => transport.resume_reading(),
            NotifyDrained => transport.notify_drained(),
            Flood => drop(transport.write(vec![b'f'; 4 * 1024 * 1024])),
            Replace => self.replace(),
            PeerReads => drop(self.raw.read_up_to(10_000)),
            PeerFinishes => self.raw.finish(),
            WriteEof => transport.write_eof(),
            Close => transport.close(),
        }
    }

    fn replace(&self) {
        let log = Log::new();
        if self.transport.set_protocol(Trace::new(&log).keep_open(), b"handed over").is_ok() {
            self.logs.borrow_mut().push(log);
        }
    }

    /// The peer has gone, and so goes the connection.
    fn end(&self) {
        self.transport.resume_reading();
        self.transport.close();
        self.world.until(|| self.logs.borrow().iter().any(Log::is_lost));
        self.world.turn_a_little();
        let logs = self.logs.borrow();
        let (last, replaced) = logs.split_last().expect("a protocol");
        for log in logs.iter() {
            assert_in_order(&log.all());
        }
        assert!(replaced.iter().all(|log| !log.is_lost()), "a replaced protocol was told of the loss");
        assert_eq!(last.losses(), 1);
        assert_eq!(self.transport.local_address(), None);
    }
}

/// Made first and once, the end once, pause and resume alternating, the loss last.
fn assert_in_order(events: &[Event]) {
    let count = |wanted: &Event| events.iter().filter(|event| *event == wanted).count();
    assert_eq!(events.first(), Some(&Event::Made), "{events:?}");
    assert_eq!(count(&Event::Made), 1, "{events:?}");
    assert!(count(&Event::Eof) <= 1 && count(&Event::PeerClosed) <= 1, "{events:?}");
    let lost = events.iter().position(|event| matches!(event, Event::Lost(_)));
    assert!(lost.is_none_or(|at| at == events.len() - 1), "{events:?}");
    let flow: Vec<_> = events.iter().filter(|event| matches!(event, Event::Pause | Event::Resume)).collect();
    for (index, event) in flow.into_iter().enumerate() {
        assert_eq!(*event, if index % 2 == 0 { Event::Pause } else { Event::Resume }, "{events:?}");
    }
    let eof = events.iter().position(|event| *event == Event::Eof).unwrap_or(events.len());
    assert!(!events[eof..].iter().any(|event| matches!(event, Event::Data(_))), "{events:?}");
}

fn live_until_the_peer_goes(world: &World, life: &[Step]) {
    for (way, go) in WAYS.iter().enumerate() {
        for moment in 0..=life.len() {
            println!("way {way}, after {:?}", &life[..moment]);
            let scene = Scene::new(world);
            life[..moment].iter().for_each(|step| scene.take(*step));
            go(&scene.raw);
            life[moment..].iter().filter(|step| !matches!(step, Turn)).for_each(|step| scene.take(*step));
            scene.end();
        }
    }
    assert_eq!(world.handle().stats().connections, 0);
    assert_eq!(world.open_sockets(), 0);
    world.settle();
    assert_eq!(world.handle().stats().timers, 0);
}

conformance! {
    fn while_talking(world: &World) {
        live_until_the_peer_goes(world, LIVES[0]);
    }

    fn while_paused_and_watched(world: &World) {
        live_until_the_peer_goes(world, LIVES[1]);
    }

    fn while_bytes_wait(world: &World) {
        live_until_the_peer_goes(world, LIVES[2]);
    }

    fn while_handing_over(world: &World) {
        live_until_the_peer_goes(world, LIVES[3]);
    }

    fn after_the_peers_end(world: &World) {
        live_until_the_peer_goes(world, LIVES[4]);
    }
}
