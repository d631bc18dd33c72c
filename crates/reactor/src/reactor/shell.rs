//! What every handle of a loop points to.
//!
//! The parts lie in cells of their own and are borrowed for as short as possible: **nothing here is borrowed while code
//! of the user's runs**, its `Drop`s included. After the end of the loop the shell stays, inert, for as long as handles do.

use std::any::Any;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::config::Config;
use super::events::Answered;
use super::failure::FailureHandler;
use super::host::Host;
use super::local::Locals;
use super::shutdown::Shutdown;
use super::stats::Counters;
use super::{LoopId, Slot, context};
use crate::backend::{Arrivals, Backend, Chunk, Outgoing, SentWhole};
use crate::before_sleep::SleepHooks;
use crate::choice::Choices;
use crate::connect::ConnectTable;
use crate::connection::{Announced, Connection, Delivery, Flight, Notice, ROOM, Spares};
use crate::contain::contain;
use crate::datagram::DatagramSpares;
use crate::debug::Debugging;
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::OsSignals;
use crate::pool::{Pool, Whose};
use crate::process::ProcessTable;
use crate::protocol::Internal;
use crate::ready::{Callback, Entry, Other, ReadyQueue};
use crate::remote::{Arrived, Remote};
use crate::resolve::{Naming, THREADS};
use crate::signals::SignalTable;
use crate::slab::Slab;
use crate::timer::Timers;
use crate::timer::queue::{Removed, TimerId};
use crate::watch::WatchTable;

/// Where the loop stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It can run.
    Alive,
    /// It was shut down: everybody was told, and nothing runs any more.
    ShutDown,
    /// It was dropped: it is empty.
    Ended,
}

/// How many of each kind of slot there are.
#[derive(Clone, Copy, Default)]
pub(super) struct SlotCounts {
    pub(super) connections: usize,
    pub(super) listeners: usize,
    pub(super) watches: usize,
    pub(super) datagram_sockets: usize,
}

pub(crate) struct Shell {
    pub(crate) id: LoopId,
    pub(super) life: Cell<Life>,
    pub(super) in_turn: Cell<bool>,
    /// The backend may have events of the turn before.
    pub(super) left_events: Cell<bool>,
    /// So it was at the end of the turn before, and flow was not looked at.
    pub(super) flows_wait: Cell<bool>,
    pub(super) stopping: Cell<bool>,
    pub(super) backend: RefCell<Box<dyn Backend>>,
    pub(super) host: Host,
    pub(super) choices: Choices,
    pub(super) config: Config,

    slots: RefCell<Slab<Slot>>,
    pub(super) ready: RefCell<ReadyQueue>,
    /// The number at which the batch that is running ends.
    pub(super) batch_end: Cell<u64>,
    pub(crate) timers: Timers,
    pub(crate) signals: RefCell<SignalTable>,
    pub(crate) os_signals: OsSignals,
    pub(crate) processes: RefCell<ProcessTable>,
    pub(crate) connects: RefCell<ConnectTable>,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) resolver: RefCell<Pool>,
    pub(crate) naming: Naming,
    pub(crate) watches: WatchTable,
    pub(crate) sleep_hooks: SleepHooks,

    /// Connections to flush at the end of the turn.
    pub(super) dirty: RefCell<Vec<Key>>,
    /// Connections and listeners that have more than a turn's budget.
    pub(super) listed: RefCell<VecDeque<Key>>,
    /// Connections whose flow is looked at after the next wait.
    pub(super) flow_checks: RefCell<Vec<Key>>,
    /// The empty list that takes what is sent from the backend.
    pub(super) sent: Cell<Vec<SentWhole>>,
    /// Sends that are over, and something follows from that.
    pub(super) answered: RefCell<VecDeque<Answered>>,
    /// How many waits have ended, as their number wraps.
    pub(crate) waits: Cell<u32>,
    /// Connections of which something departed that is marked as under way, and the empty list of those of whom it was not sent.
    pub(crate) departed: RefCell<Vec<Key>>,
    pub(crate) unsent: Cell<Vec<Key>>,
    pub(crate) flight: Flight,
    pub(crate) announced: Announced,
    pub(crate) delivery: Delivery,
    pub(crate) spares: RefCell<Spares>,
    /// The queue of bytes that was emptied last.
    pub(crate) spare: Cell<Option<Box<Outgoing>>>,
    pub(crate) datagram_spares: DatagramSpares,
    /// The empty list that takes spent owned bytes.
    pub(crate) spent: Cell<Vec<Bytes>>,
    /// Room for what backends receive that want it. It is borrowed while something is received into it and shown to a protocol. Who needs
    /// room meanwhile makes its own.
    pub(crate) room: RefCell<Vec<u8>>,
    pub(crate) gives_room: bool,
    /// Whether the backend lends sockets.
    pub(crate) lends: bool,
    /// Where what the backend received arrives, if it does.
    pub(crate) arrivals: Option<Rc<Arrivals>>,
    /// Room for what filters deliver.
    pub(crate) filter_room: Cell<Vec<u8>>,

    pub(super) remote: Remote,
    pub(super) arrived: RefCell<Arrived>,
    pub(super) guards: Cell<usize>,
    pub(super) locals: Locals,
    pub(super) shutdown: RefCell<Shutdown>,
    pub(super) failures: RefCell<FailureHandler>,
    pub(crate) debug: Debugging,
    stats: Counters,
}

impl Shell {
    pub(super) fn new(mut backend: Box<dyn Backend>, mut config: Config) -> Rc<Self> {
        let id = LoopId::fresh();
        let remote = Remote::new(id, config.post_limit, backend.waker());
        remote.shared().set_debugging(config.debug.is_some());
        let shell = Rc::new(Self {
            id,
            life: Cell::new(Life::Alive),
            in_turn: Cell::new(false),
            left_events: Cell::new(false),
            flows_wait: Cell::new(false),
            stopping: Cell::new(false),
            choices: backend.choices().clone(),
            room: RefCell::new(vec![0; if backend.takes_room() { ROOM } else { backend.room() }]),
            gives_room: backend.takes_room(),
            lends: backend.lender(Internal).is_some(),
            arrivals: backend.arrivals(Internal),
            flight: Flight::new(backend.departing(Internal).map(|departing| departing.departures())),
            backend: RefCell::new(backend),
            host: Host::default(),
            debug: Debugging::new(config.debug),
            slots: RefCell::new(Slab::new()),
            ready: RefCell::new(ReadyQueue::new()),
            batch_end: Cell::new(0),
            timers: Timers::new(),
            signals: RefCell::default(),
            os_signals: OsSignals::default(),
            processes: RefCell::default(),
            connects: RefCell::default(),
            pool: RefCell::new(Pool::new(Whose::Program, config.pool)),
            resolver: RefCell::new(Pool::new(Whose::Resolver, THREADS)),
            naming: Naming::new(config.resolver.take()),
            watches: WatchTable::default(),
            sleep_hooks: SleepHooks::default(),
            config,
            dirty: RefCell::default(),
            listed: RefCell::default(),
            flow_checks: RefCell::default(),
            sent: Cell::default(),
            answered: RefCell::default(),
            waits: Cell::default(),
            departed: RefCell::default(),
            unsent: Cell::default(),
            announced: Announced::default(),
            delivery: Delivery::default(),
            spares: RefCell::default(),
            spare: Cell::default(),
            datagram_spares: DatagramSpares::default(),
            spent: Cell::default(),
            filter_room: Cell::default(),
            remote,
            arrived: RefCell::default(),
            guards: Cell::new(0),
            locals: Locals::default(),
            shutdown: RefCell::default(),
            failures: RefCell::default(),
            stats: Counters::default(),
        });
        context::register(&shell);
        shell
    }

    // The backend.

    /// The backend, to begin something: it may need a wait for that.
    pub(crate) fn backend(&self) -> RefMut<'_, Box<dyn Backend>> {
        self.changed();
        self.backend.borrow_mut()
    }

    /// The same, within a turn: then the host knows that there is another.
    #[inline]
    pub(crate) fn backend_in_turn(&self) -> RefMut<'_, Box<dyn Backend>> {
        self.backend.borrow_mut()
    }

    pub(crate) fn backend_ref(&self) -> Ref<'_, Box<dyn Backend>> {
        self.backend.borrow()
    }

    pub(crate) fn release(&self, chunk: Chunk) {
        if !chunk.is_of_filters() {
            self.backend().release(chunk);
        } else if let Some(room) = chunk.into_memory() {
            self.keep_room(room);
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.backend_ref().now()
    }

    pub(crate) fn choices(&self) -> &Choices {
        &self.choices
    }

    pub(crate) fn stats(&self) -> &Counters {
        &self.stats
    }

    // Slots.

    pub(crate) fn add_slot(&self, slot: Slot) -> Key {
        self.slots.borrow_mut().insert(slot)
    }

    pub(crate) fn remove_slot(&self, key: Key) -> Option<Slot> {
        self.end_flight(key);
        self.slots.borrow_mut().remove(key)
    }

    pub(crate) fn slot_keys(&self) -> Vec<Key> {
        self.slots.borrow().keys()
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.borrow().len()
    }

    /// How many of each stand.
    pub(super) fn slot_counts(&self) -> SlotCounts {
        let mut counts = SlotCounts::default();
        for slot in self.slots.borrow().values() {
            match slot {
                Slot::Connection(_) => counts.connections += 1,
                Slot::Listener(listening) => counts.listeners += usize::from(!listening.is_closed()),
                Slot::Watch(_) => counts.watches += 1,
                Slot::Datagram(_) => counts.datagram_sockets += 1,
                Slot::OsSignal(_) | Slot::Child(_) | Slot::Attempt(_) | Slot::Reserved => {}
            }
        }
        counts
    }

    /// Nobody is to be told of a connection what is not so yet.
    #[inline]
    pub(crate) fn end_flight(&self, key: Key) {
        if self.flight.is_of(key) {
            self.land();
        }
    }

    /// All slots, for whoever sees to the [flight](Flight) by themselves.
    #[inline]
    pub(crate) fn slots(&self) -> RefMut<'_, Slab<Slot>> {
        self.slots.borrow_mut()
    }

    /// Works on a slot. `change` must run no code of the user's.
    pub(crate) fn slot<R>(&self, key: Key, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        self.end_flight(key);
        let mut slots = self.slots.borrow_mut();
        // If nothing is there, `change` and what it holds of the user's is dropped after the borrow: as an argument.
        let slot = slots.get_mut(key)?;
        if let Slot::Connection(connection) = slot {
            self.look_at_departure(key, connection);
        }
        Some(change(slot))
    }

    /// Works on a connection. `change` must run no code of the user's.
    #[inline]
    pub(crate) fn alter<R>(&self, key: Key, change: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        self.end_flight(key);
        match self.slots.borrow_mut().get_mut(key) {
            Some(Slot::Connection(connection)) => {
                self.look_at_departure(key, connection);
                Some(change(connection))
            }
            _ => None,
        }
    }

    /// Looks at a connection.
    #[inline]
    pub(crate) fn inspect<R>(&self, key: Key, look: impl FnOnce(&Connection) -> R) -> Option<R> {
        self.end_flight(key);
        match self.slots.borrow_mut().get_mut(key) {
            Some(Slot::Connection(connection)) => {
                self.look_at_departure(key, connection);
                Some(look(connection))
            }
            _ => None,
        }
    }

    /// Asks something of a connection; a connection that is gone says no.
    pub(crate) fn ask(&self, key: Key, question: impl FnOnce(&mut Connection) -> bool) -> bool {
        self.alter(key, question).unwrap_or(false)
    }

    /// Whether a connection is gone, or its end is certain.
    pub(crate) fn is_gone(&self, key: Key) -> bool {
        self.inspect(key, |connection| connection.flags.any(crate::connection::Flags::LOST)).unwrap_or(true)
    }

    // Lists of things to do.

    #[inline]
    pub(crate) fn push(&self, entry: Entry) -> Option<u64> {
        if self.is_over() {
            return self.refuse(entry);
        }
        let number = self.ready.borrow_mut().push(entry);
        self.changed();
        Some(number)
    }

    #[cold]
    fn refuse(&self, entry: Entry) -> Option<u64> {
        self.contained(move || drop(entry));
        None
    }

    /// Makes room for an entry that would be the only one, and runs without being pushed: whether it is so.
    #[inline]
    pub(crate) fn passes(&self) -> bool {
        let mut ready = self.ready.borrow_mut();
        let passes = ready.is_empty() && !self.is_over();
        if passes {
            ready.pass();
        }
        passes
    }

    /// Pushes an entry that did not [pass](Self::passes) after all.
    #[cold]
    pub(crate) fn push_first(&self, entry: Entry) {
        self.ready.borrow_mut().push_first(entry);
    }

    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.borrow().is_empty()
    }

    pub(crate) fn notify(&self, key: Key, notice: Notice) {
        self.push(Entry::Other(Other::Notice(key, notice)));
    }

    /// Lets the loop drop something of the user's.
    pub(crate) fn discard<T: 'static>(&self, value: T) {
        self.push(Entry::Other(Other::Discard(Box::new(value) as Box<dyn Any>)));
    }

    /// Marks a connection or listener to be pulled from in the next turn. The caller sees to it that it is listed once.
    pub(crate) fn list(&self, key: Key) {
        self.listed.borrow_mut().push_back(key);
        self.changed();
    }

    pub(crate) fn flush_later(&self, key: Key) {
        self.dirty.borrow_mut().push(key);
        self.changed();
    }

    pub(crate) fn check_flow_later(&self, key: Key) {
        self.flow_checks.borrow_mut().push(key);
        self.changed();
    }

    // Timers of the loop's own. They do not keep it alive.

    #[track_caller]
    pub(crate) fn timer_after(&self, delay: Duration, call: impl FnOnce() + 'static) -> TimerId {
        let callback = Callback::new(call, Location::caller());
        let timer = self.timers.insert_own(self.now() + delay, callback);
        self.deadline_changed();
        timer
    }

    pub(crate) fn cancel_timer(&self, timer: TimerId) {
        self.end_timer(timer);
    }

    /// Cancels it: whether it was to run, or runs just now.
    pub(crate) fn end_timer(&self, timer: TimerId) -> bool {
        let was_live = match self.timers.remove(timer) {
            Removed::Waiting(work) => {
                self.contained(move || drop(work));
                true
            }
            Removed::Running => true,
            Removed::Nothing => false,
        };
        self.may_be_idle();
        was_live
    }

    pub(crate) fn reset_timer(&self, timer: TimerId, deadline: Instant) -> bool {
        let is_set = self.timers.reset(timer, deadline);
        self.deadline_changed();
        // A timer that never comes keeps nobody waiting.
        self.may_be_idle();
        is_set
    }

    // Code of the user's.

    /// Calls code of the user's that belongs to no connection. A panic is reported.
    #[track_caller]
    pub(crate) fn contained<R>(&self, call: impl FnOnce() -> R) -> Option<R> {
        self.contained_at(Location::caller(), call)
    }

    /// The same, where the report is to name another place: the one in the program where the code was handed in.
    pub(crate) fn contained_at<R>(
        &self,
        place: &'static Location<'static>,
        call: impl FnOnce() -> R,
    ) -> Option<R> {
        contain(call).map_err(|panic| self.report_panic(panic, place)).ok()
    }

    /// Drops each of these by itself: two panics at once would abort the process.
    #[track_caller]
    pub(crate) fn drop_each<T>(&self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.contained(move || drop(value));
        }
    }

    /// Makes `run` return when the batch that is running is done.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.changed();
    }

    // The end.

    /// Takes everything out, in the order in which it is dropped.
    pub(super) fn take_backend(&self, replacement: Box<dyn Backend>) -> Box<dyn Backend> {
        self.backend.replace(replacement)
    }

    pub(super) fn take_slots(&self) -> Slab<Slot> {
        self.slots.replace(Slab::new())
    }

    pub(crate) fn remote_shared(&self) -> &crate::remote::Shared {
        self.remote.shared()
    }

    pub(crate) fn guards(&self) -> usize {
        self.guards.get()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.life.get() != Life::Alive
    }

    pub(crate) fn weak(self: &Rc<Self>) -> Weak<Self> {
        Rc::downgrade(self)
    }
}
