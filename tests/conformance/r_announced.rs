//! R, S: what a callback does to other connections whose input came with its own, and whose turn is yet to come.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Lost, Protocol, Transport, WriteStatus};

use crate::support::{Raw, World, pattern, reason_name};
use crate::{conformance, streams};

streams! {
    fn r01_who_is_paused_by_a_neighbour_before_its_turn_hears_nothing_until_it_resumes(world: &World) {
        let (street, raws) = Street::new(world, 5, |others| others.iter().for_each(Transport::pause_reading));
        all_write(&raws);
        world.until(|| street.heard.borrow().len() == 1);
        world.settle();
        assert_eq!(street.heard.borrow().len(), 1);
        street.homes.borrow().iter().for_each(Transport::resume_reading);
        world.until(|| street.heard.borrow().len() == raws.len());
        world.settle();
        assert_eq!(street.everyone(), [0, 1, 2, 3, 4]);
    }

    fn s01_who_is_aborted_by_a_neighbour_before_its_turn_hears_of_the_loss_alone(world: &World) {
        let (street, raws) = Street::new(world, 5, |others| others.iter().for_each(Transport::abort));
        all_write(&raws);
        world.until(|| street.lost() == 4);
        world.settle();
        assert_eq!((street.heard.borrow().len(), street.lost()), (1, 4));
    }

    fn s21_who_takes_over_from_a_neighbour_before_its_turn_gets_the_bytes(world: &World) {
        let taken = Rc::new(RefCell::new(Vec::new()));
        let successors = Rc::clone(&taken);
        let (street, raws) = Street::new(world, 5, move |others| {
            for transport in others {
                let taken = Rc::clone(&successors);
                let successor = move |_: &Transport, data: &[u8]| taken.borrow_mut().extend_from_slice(data);
                transport.set_protocol(successor, b"").expect("it stands");
            }
        });
        raws.iter().zip(b"abcde").for_each(|(raw, letter)| assert_eq!(raw.write(&[*letter]), 1));
        world.until(|| taken.borrow().len() == 4);
        world.settle();
        let first = street.everyone();
        assert_eq!(first.len(), 1);
        let mut letters = taken.take();
        letters.push(b'a' + u8::try_from(first[0]).expect("one of five"));
        letters.sort_unstable();
        assert_eq!(letters, b"abcde");
    }

    fn r08_what_a_neighbour_asks_and_undoes_before_its_turn_costs_no_bytes(world: &World) {
        let acts: [fn(&Transport); 7] = [
            |transport| {
                transport.pause_reading();
                transport.resume_reading();
            },
            |transport| drop(transport.suspend_reading()),
            |transport| assert_eq!(transport.buffered(), 0),
            |transport| transport.watch_peer(),
            |transport| assert!(transport.write(pattern(100_000)).is_accepted()),
            |transport| assert_eq!(transport.write(b"few"), WriteStatus::Ok),
            |transport| transport.notify_readable(),
        ];
        for act in acts {
            let (street, raws) = Street::new(world, 4, move |others| others.iter().for_each(act));
            for round in 1..3 {
                all_write(&raws);
                world.until(|| street.heard.borrow().len() == round * raws.len());
            }
            world.settle();
            assert_eq!(street.everyone(), [0, 0, 1, 1, 2, 2, 3, 3]);
        }
    }

    fn s23_who_is_closed_by_a_neighbour_before_its_turn_sends_what_it_wrote(world: &World) {
        let (street, raws) = Street::new(world, 3, |others| {
            for transport in others {
                transport.write(b"goodbye");
                transport.close();
            }
        });
        all_write(&raws);
        world.until(|| street.heard.borrow().len() == 1 && street.lost() == 2);
        let first = street.everyone()[0];
        for raw in raws.iter().enumerate().filter_map(|(number, raw)| (number != first).then_some(raw)) {
            assert_eq!(world.read(raw, 7), b"goodbye");
        }
    }

    fn r08_everyone_is_heard_once_however_many_come_at_a_time(world: &World) {
        let (street, raws) = Street::new(world, 100, |_| ());
        for round in 1..4 {
            all_write(&raws);
            world.until(|| street.heard.borrow().len() >= round * raws.len());
            world.settle();
            let heard = street.everyone();
            assert!(heard.chunks(round).enumerate().all(|(index, each)| each.iter().all(|one| *one == index)));
        }
    }

    fn r08_everyone_is_heard_once_where_each_leaves_work_behind(world: &World) {
        let later = Rc::new(Cell::new(0));
        let count = Rc::clone(&later);
        let (street, raws) = Street::new(world, 100, |_| ());
        *street.each.borrow_mut() = Box::new(move |transport| {
            let count = Rc::clone(&count);
            transport.handle().call_soon(move || count.set(count.get() + 1));
        });
        all_write(&raws);
        world.until(|| later.get() == raws.len());
        world.settle();
        assert_eq!((street.everyone(), later.get()), ((0..100).collect(), 100));
    }
}

conformance! {
    fn s33_whose_peer_resets_it_before_its_turn_is_lost_for_that_reason(world: &World) {
        let (street, raws) = Street::new(world, 4, |_| ());
        all_write(&raws);
        let raws = Rc::new(raws);
        let far = Rc::clone(&raws);
        // Whoever comes first; what the others were sent has arrived by then.
        *street.each.borrow_mut() = Box::new(move |_| far.iter().for_each(Raw::reset));
        world.until(|| street.lost() == 4);
        assert!(!street.everyone().is_empty());
        assert_eq!(*street.reasons.borrow(), ["Reset"; 4]);
    }
}

type Act = Box<dyn Fn(&[Transport])>;
type Each = Box<dyn Fn(&Transport)>;

/// Connections that know each other.
struct Street {
    homes: RefCell<Vec<Transport>>,
    /// What the first who hears something does to all others.
    act: RefCell<Option<Act>>,
    /// What each does who hears something.
    each: RefCell<Each>,
    heard: RefCell<Vec<usize>>,
    /// Why each was lost.
    reasons: RefCell<Vec<String>>,
}

impl Street {
    fn new(world: &World, size: usize, act: impl Fn(&[Transport]) + 'static) -> (Rc<Self>, Vec<Raw>) {
        let street = Rc::new(Self {
            homes: RefCell::default(),
            act: RefCell::new(Some(Box::new(act))),
            each: RefCell::new(Box::new(|_| ())),
            heard: RefCell::default(),
            reasons: RefCell::default(),
        });
        let raws = (0..size).map(|number| {
            let (transport, raw) = world.accept_one(Neighbour { number, street: Rc::clone(&street) });
            street.homes.borrow_mut().push(transport);
            raw
        });
        let raws = raws.collect();
        world.settle();
        (street, raws)
    }

    fn lost(&self) -> usize {
        self.reasons.borrow().len()
    }

    /// Who was heard, in order of their numbers, each as often as that was.
    fn everyone(&self) -> Vec<usize> {
        let mut heard = self.heard.borrow().clone();
        heard.sort_unstable();
        heard
    }
}

/// One byte comes to each, before any of them has its turn.
#[track_caller]
fn all_write(raws: &[Raw]) {
    raws.iter().for_each(|raw| assert_eq!(raw.write(b"x"), 1));
}

struct Neighbour {
    number: usize,
    street: Rc<Street>,
}

impl Protocol for Neighbour {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.street.heard.borrow_mut().extend(data.iter().map(|_| self.number));
        (self.street.each.borrow())(transport);
        let act = self.street.act.borrow_mut().take();
        if let Some(act) = act {
            let mut others = self.street.homes.borrow().clone();
            others.remove(self.number);
            act(&others);
        }
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.street.reasons.borrow_mut().push(reason_name(lost));
    }
}
