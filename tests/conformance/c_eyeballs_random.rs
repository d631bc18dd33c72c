//! C: races of random addresses with random fates, looked up in random parts, on memory. Each has exactly one outcome, which
//! the fates explain, and leaves nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, PeerListener};
use marline_reactor::{Answer, ChoiceKind, ConnectError, Family, Handle, Timer, Transport};

use crate::support::{Attempt, Event, Log, Script, Trace, World, runs_out};

const ROUNDS: u16 = 25;
/// Longer than everything that the fates let happen.
const TIMEOUT: u64 = 20;

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Accepts,
    Refuses,
    Never,
    AcceptsLate,
    RefusesLate,
}

impl Fate {
    const ALL: [Self; 5] = [Self::Accepts, Self::Refuses, Self::Never, Self::AcceptsLate, Self::RefusesLate];

    fn accepts(self) -> bool {
        matches!(self, Self::Accepts | Self::AcceptsLate)
    }

    fn refuses(self) -> bool {
        matches!(self, Self::Refuses | Self::RefusesLate)
    }

    fn is_late(self) -> bool {
        !matches!(self, Self::Accepts | Self::Refuses)
    }
}

/// How the resolver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    All,
    Sorted,
    /// In two parts, with this much time before each.
    Parts(Duration, Duration),
    /// Only the one family, and then it drops the question.
    Half(Family),
    Fails,
}

/// One race, and what is known of it.
struct Race<'a> {
    world: &'a World,
    memory: &'a MemoryReactor,
    fates: BTreeMap<SocketAddr, Fate>,
    manner: Manner,
    bind: bool,
    timers: Vec<Timer>,
    _listeners: Vec<PeerListener>,
}

fn draw(handle: &Handle, among: usize) -> usize {
    handle.choose(ChoiceKind::Fairness, among)
}

fn draw_time(handle: &Handle, most: usize) -> Duration {
    Duration::from_millis(draw(handle, most + 1) as u64)
}

fn of_family(fates: &BTreeMap<SocketAddr, Fate>, family: Family) -> Vec<SocketAddr> {
    fates.keys().copied().filter(|address| Family::of(address) == family).collect()
}

impl<'a> Race<'a> {
    fn drawn(world: &'a World, round: u16) -> Self {
        let (memory, handle) = (world.as_memory().expect("memory"), world.handle());
        let mut fates = BTreeMap::new();
        for number in 0..draw(&handle, 4) as u16 {
            fates.insert(SocketAddr::from(([10, 0, 0, number as u8], 1000 + round)), Fate::Never);
        }
        for number in 0..draw(&handle, 4) as u16 {
            fates.insert(
                SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 1000 + round)),
                Fate::Never,
            );
        }
        fates.values_mut().for_each(|fate| *fate = Fate::ALL[draw(&handle, Fate::ALL.len())]);
        let manner = match draw(&handle, 8) {
            0 => Manner::All,
            1 => Manner::Sorted,
            2 => Manner::Half(Family::V4),
            3 => Manner::Half(Family::V6),
            4 => Manner::Fails,
            _ => Manner::Parts(draw_time(&handle, 120), draw_time(&handle, 400)),
        };
        let bind = draw(&handle, 5) == 1;
        let mut race =
            Self { world, memory, fates, manner, bind, timers: Vec::new(), _listeners: Vec::new() };
        race.prepare(&handle);
        race
    }

    fn prepare(&mut self, handle: &Handle) {
        for (address, fate) in self.fates.clone() {
            let network = self.memory.network().clone();
            if fate.accepts() {
                self._listeners.push(network.listen(address).expect("a scripted listener"));
            }
            if fate.is_late() {
                network.ignore(address);
            }
            if fate.is_late() && fate != Fate::Never {
                let timer = handle.call_later(draw_time(handle, 2000), move || network.heed(address));
                self.timers.push(timer);
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        let (v4, v6) = (of_family(&self.fates, Family::V4), of_family(&self.fates, Family::V6));
        match self.manner {
            Manner::All => answer.all(v4.into_iter().chain(v6)),
            Manner::Sorted => answer.sorted(v4.into_iter().chain(v6)),
            Manner::Fails => answer.fail(Error::other("no server answers")),
            Manner::Half(Family::V4) => answer.found(Family::V4, v4),
            Manner::Half(Family::V6) => answer.found(Family::V6, v6),
            Manner::Parts(first, second) => {
                let answer = Rc::new(answer);
                let handle = self.world.handle();
                for (delay, family, addresses) in [(first, Family::V4, v4), (second, Family::V6, v6)] {
                    let answer = Rc::clone(&answer);
                    self.timers.push(handle.call_later(delay, move || answer.found(family, addresses)));
                }
            }
        }
    }

    fn endpoint(&self) -> String {
        let bind = if self.bind { "&bind=127.0.0.1:0" } else { "" };
        format!("tcp://some.name:80?timeout={TIMEOUT}{bind}")
    }

    /// The addresses that the loop hears of and may use.
    fn usable(&self) -> BTreeMap<SocketAddr, Fate> {
        let is_told = |family| match self.manner {
            Manner::Fails => false,
            Manner::Half(only) => only == family,
            _ => true,
        };
        let usable = |address: &SocketAddr| {
            let family = Family::of(address);
            is_told(family) && (!self.bind || family == Family::V4)
        };
        self.fates.clone().into_iter().filter(|(address, _)| usable(address)).collect()
    }

    /// The fates allow this outcome, and no other kind of it.
    fn check(&self, outcome: &Result<Transport, ConnectError>) {
        let (usable, what) = (self.usable(), format!("{:?}, {:?}, {outcome:?}", self.fates, self.manner));
        let some_never = usable.values().any(|fate| *fate == Fate::Never);
        match outcome {
            Ok(transport) => {
                let peer = transport.peer_address().and_then(|peer| peer.as_inet()).expect("TCP");
                assert!(usable[&peer].accepts(), "{what}");
            }
            _ if usable.values().any(|fate| fate.accepts()) => panic!("one accepts: {what}"),
            Err(ConnectError::TimedOut { .. }) => assert!(some_never, "{what}"),
            Err(ConnectError::Failed { attempts, .. }) => {
                let mut tried: Vec<_> =
                    attempts.iter().filter_map(|(address, _)| address.as_inet()).collect();
                tried.sort();
                assert!(tried.iter().eq(usable.keys()), "{what}");
                assert!(usable.values().all(|fate| fate.refuses()), "{what}");
            }
            Err(ConnectError::Lookup { .. } | ConnectError::WrongFamily { .. }) => {
                assert!(usable.is_empty(), "{what}");
            }
            Err(_) => panic!("{what}"),
        }
    }
}

/// One race to its end, whatever that is, and what is left then: nothing.
fn run_one(world: &World, round: u16) {
    let (handle, log, script) = (world.handle(), Log::new(), Script::of(world));
    let sockets = world.open_sockets();
    let mut race = Race::drawn(world, round);
    let attempt = Rc::new(Attempt::start(&handle, race.endpoint(), Trace::new(&log)));
    let gives_up = draw(&handle, 4) == 1;
    let given_up = Rc::new(RefCell::new(false));
    if gives_up {
        let (attempt, given_up) = (Rc::clone(&attempt), Rc::clone(&given_up));
        let cancel = move || *given_up.borrow_mut() = attempt.connecting.cancel();
        race.timers.push(handle.call_later(draw_time(&handle, 1500), cancel));
    }
    let answer = script.answer(world);
    race.answer(answer);
    let outcome = attempt.outcome(world);
    if *given_up.borrow() {
        assert!(matches!(outcome, Err(ConnectError::Cancelled { .. })), "{outcome:?}");
    } else {
        race.check(&outcome);
    }
    race.timers.iter().for_each(|timer| _ = timer.cancel());
    world.settle();
    assert!(script.cancelled() <= 1);
    assert_eq!(world.handle().stats().timers, 0);
    assert_eq!(world.open_sockets(), sockets + usize::from(outcome.is_ok()));
    assert_eq!(log.count(&Event::Made), usize::from(outcome.is_ok()));
    if let Ok(transport) = outcome {
        transport.abort();
        world.until(|| log.is_lost());
    }
    world.settle();
    assert_eq!((world.open_sockets(), attempt.told(), attempt.closures_left()), (sockets, 0, 0));
}

fn races(world: &World) {
    for round in 0..ROUNDS {
        run_one(world, round);
    }
    assert!(runs_out(world));
}

#[test]
fn happy_eyeballs_random_races_have_one_outcome_and_leave_nothing() {
    World::on_seeded_memory(races);
}

#[test]
fn happy_eyeballs_random_races_over_an_adversary_have_one_outcome_and_leave_nothing() {
    World::on_adversary_over_memory(races);
}
