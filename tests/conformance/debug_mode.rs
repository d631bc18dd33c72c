//! Debug mode: who held the loop, what was left open, what was used where it must not be.

use std::cell::RefCell;
use std::future::pending;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use futures::join;
use marline_reactor::testing::MemoryReactor;
use marline_reactor::{Addresses, Builder, DebugMode, Handle, Phase, Protocol, Transport, Warning};

use crate::conformance;
use crate::s_loop_end::Reports;
use crate::support::{Faults, Hands, Notes, World, address_of, skip};

const LIMIT: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_millis(60);

/// What was reported so far.
#[derive(Clone, Default)]
struct Heard(Rc<RefCell<Vec<Warning>>>);

impl Heard {
    /// Turns debug mode on, and listens.
    fn on(handle: &Handle) -> Self {
        let heard = Self::default();
        let kept = heard.clone();
        handle.set_debug(Some(DebugMode::new().slow(LIMIT)));
        handle.on_warning(move |warning| kept.0.borrow_mut().push(warning.clone()));
        heard
    }

    fn all(&self) -> Vec<Warning> {
        self.0.borrow().clone()
    }

    /// What was slow, in order.
    fn slow(&self) -> Vec<String> {
        let what = |warning| match warning {
            Warning::Slow { what, took, limit } => {
                assert!(took >= SLOW && limit == LIMIT, "{took:?} {limit:?}");
                what
            }
            other => panic!("{other}"),
        };
        self.all().into_iter().map(what).collect()
    }

    /// Waits until these were reported, in this order. On virtual time nothing else was slow; on a real clock a machine
    /// that is busy with other things may have made anything slow.
    #[track_caller]
    fn assert_slow(&self, world: &World, parts: &[&str]) {
        let told = || {
            let mut slow = self.all().into_iter().map(|warning| warning.to_string());
            parts.iter().all(|part| slow.any(|what| what.contains(part)))
        };
        world.until(|| told() || (world.is_memory() && self.all().len() >= parts.len()));
        assert!(told(), "{:#?} does not tell of {parts:?}", self.all());
        if world.is_memory() {
            assert_eq!(self.slow().len(), parts.len(), "{:#?}", self.slow());
        }
    }

    /// The first report that has this.
    fn find(&self, part: &str) -> String {
        let mut all = self.all().into_iter().map(|warning| warning.to_string());
        all.find(|report| report.contains(part)).expect("a report")
    }
}

/// A protocol that takes long for what it is told to.
struct Sluggish {
    hands: Hands,
    in_made: bool,
    own_buffer: Option<[u8; 64]>,
}

impl Sluggish {
    fn new(world: &World) -> Self {
        Self { hands: world.clock(), in_made: false, own_buffer: None }
    }
}

impl Protocol for Sluggish {
    fn connection_made(&mut self, _: &Transport) {
        if self.in_made {
            self.hands.pass(SLOW);
        }
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        self.hands.pass(SLOW);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.own_buffer.as_mut().map(|buffer| &mut buffer[..])
    }

    fn buffer_filled(&mut self, _: &Transport, _: usize) {
        self.hands.pass(SLOW);
    }
}

/// How often the clock is read in a turn of so many callbacks, all of which it has time for.
fn clock_reads(world: &World, faults: &Faults, callbacks: usize) -> usize {
    loop {
        (0..callbacks).for_each(|_| drop(world.handle().call_soon(|| {})));
        let before = faults.clock_reads();
        // Nobody else's work on this machine makes the callbacks slow.
        faults.stop_clock(true);
        let is_single = world.single_turn();
        faults.stop_clock(false);
        if is_single {
            return faults.clock_reads() - before;
        }
        world.settle();
    }
}

fn here(line: u32) -> String {
    format!("{}:{line}:", file!())
}

conformance! {
    fn slow_callbacks_are_reported_with_the_place_that_scheduled_them(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        let pass = || {
            let hands = hands.clone();
            move || hands.pass(SLOW)
        };
        let (soon, later) = (here(line!() + 1), here(line!() + 2));
        handle.call_soon(pass());
        handle.call_later(Duration::from_millis(1), pass());
        handle.call_soon(|| {});
        let (repeating, signal) = (here(line!() + 1), here(line!() + 2));
        let timer = handle.call_every(Duration::from_secs(1), pass());
        let signal_raised = handle.signal(pass());
        heard.assert_slow(world, &[&soon, &later, &repeating]);
        timer.cancel();
        heard.0.borrow_mut().clear();
        signal_raised.raise();
        heard.assert_slow(world, &[&signal]);
    }

    fn slow_hooks_are_reported_with_the_place_that_added_them(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        let (at_the_end, added) = (hands.clone(), here(line!() + 1));
        let hook = handle.before_sleep(move || hands.pass(SLOW));
        world.turn();
        heard.assert_slow(world, &[&added]);
        hook.remove();
        heard.0.borrow_mut().clear();
        let added = here(line!() + 1);
        handle.on_shutdown(Phase::After, move |_| at_the_end.pass(SLOW));
        handle.shutdown();
        heard.assert_slow(world, &[&added]);
    }

    fn slow_protocols_are_reported_with_their_type_and_their_connection(world: &World) {
        let heard = Heard::on(&world.handle());
        let (transport, raw) = world.accept_one(Sluggish::new(world));
        let peer = transport.peer_address().expect("an address").to_string();
        raw.write(b"x");
        heard.assert_slow(world, &["debug_mode::Sluggish"]);
        let report = heard.find("debug_mode::Sluggish");
        assert!(report.contains(&peer) && report.contains(&format!("{:?}", transport.key())), "{report}");
    }

    fn slow_protocols_with_memory_of_their_own_are_reported(world: &World) {
        let heard = Heard::on(&world.handle());
        let (_, raw) = world.accept_one(Sluggish { own_buffer: Some([0; 64]), ..Sluggish::new(world) });
        raw.write(b"x");
        heard.assert_slow(world, &["debug_mode::Sluggish"]);
    }

    fn slow_factories_and_first_callbacks_are_reported(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        let protocol = RefCell::new(Some(Sluggish { in_made: true, ..Sluggish::new(world) }));
        let server = handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| {
            hands.pass(SLOW);
            protocol.take()
        });
        let server = server.expect("a listener");
        let _raw = world.connect_raw(&server);
        let factory = format!("the factory of the listener on tcp://{}", address_of(&server));
        heard.assert_slow(world, &[&factory, "debug_mode::Sluggish"]);
    }

    fn slow_callbacks_of_a_connect_are_reported_with_the_place_that_asked_for_it(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        let listener = world.listen_raw();
        let (first, second) = (hands.clone(), hands);
        let address = format!("tcp://{}", listener.address());
        let place = here(line!() + 1);
        handle.connect(address, move |_: &Addresses| {
            first.pass(SLOW);
            |_: &Transport, _: &[u8]| {}
        }, move |_| second.pass(SLOW));
        let told = [format!("the factory given to `connect` at {place}"), format!("the callback given to `connect` at {place}")];
        heard.assert_slow(world, &[&told[0], &told[1]]);
    }

    fn slow_polls_are_reported_with_the_place_that_started_the_task(world: &World) {
        let hands = world.clock();
        let heard = Heard::on(&world.handle());
        let place = here(line!() + 1);
        let task = world.spawn(async move {
            hands.pass(SLOW);
            marline_tasks::yield_now().await;
            hands.pass(SLOW);
        });
        world.join(task);
        heard.assert_slow(world, &[&place, &place]);
        assert!(heard.find(&place).contains("a poll of task 1, started at"), "{:?}", heard.all());
    }

    fn a_callback_may_describe_itself_and_the_next_is_not_called_so(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        let (first, second, inner) = (hands.clone(), hands, handle.clone());
        handle.call_soon(move || {
            inner.describe_callback(|| "my executor's job 7".to_owned());
            first.pass(SLOW);
        });
        handle.call_soon(move || second.pass(SLOW));
        heard.assert_slow(world, &["my executor's job 7", file!()]);
    }

    fn what_is_said_outside_of_callbacks_describes_none(world: &World) {
        let (handle, hands) = (world.handle(), world.clock());
        let heard = Heard::on(&handle);
        handle.describe_callback(|| "said outside".to_owned());
        let (pass, place) = (move || hands.pass(SLOW), here(line!() + 1));
        handle.call_soon(pass);
        heard.assert_slow(world, &[&place]);
    }

    fn without_debug_mode_nothing_is_reported_and_nothing_described(world: &World) {
        let (handle, hands, notes) = (world.handle(), world.clock(), Notes::new());
        handle.set_debug(None);
        handle.on_warning(|warning| unreachable!("{warning}"));
        handle.on_failure(|failure| unreachable!("{failure}"));
        let (inner, done) = (handle.clone(), notes.clone());
        handle.call_soon(move || {
            inner.describe_callback(|| unreachable!("nobody asks"));
            hands.pass(SLOW);
            inner.warn(&Warning::unclosed("nothing".to_owned()));
            done.add("done");
        });
        world.until(|| notes.has("done"));
    }

    fn without_debug_mode_the_clock_is_read_as_often_as_the_budget_asks(world: &World) {
        world.with_faults(|world, faults| {
            let handle = world.handle();
            // Before the callbacks, before the second, the fourth, the twelfth, the 44th of them, then each 64th, and after them.
            for (callbacks, reads) in [(0, 0), (1, 2), (2, 3), (3, 3), (4, 4), (11, 4), (12, 5), (43, 5), (44, 6), (107, 6), (108, 7)] {
                assert_eq!(clock_reads(world, faults, callbacks), reads, "{callbacks} callbacks");
            }
            handle.set_debug(Some(DebugMode::new()));
            assert_eq!(clock_reads(world, faults, 1), 4, "debug mode reads it before and after");
        });
    }

    fn a_handler_that_panics_is_contained_and_called_again(world: &World) {
        let (handle, hands, notes) = (world.handle(), world.clock(), Notes::new());
        Heard::on(&handle);
        let (told, failed) = (notes.clone(), notes.clone());
        handle.on_warning(move |_| {
            told.add("told");
            panic!("in the handler");
        });
        handle.on_failure(move |_| failed.add("failed"));
        for _ in 0..2 {
            let hands = hands.clone();
            handle.call_soon(move || hands.pass(SLOW));
        }
        world.until(|| notes.len() >= 4);
        assert_eq!(notes.all()[..4], ["told", "failed", "told", "failed"]);
        assert!(!world.is_memory() || notes.len() == 4);
    }

    fn s34_a_stream_dropped_without_a_close_is_reported_to_the_handler(world: &World) {
        let heard = Heard::on(&world.handle());
        let (stream, raw) = world.stream();
        let peer = stream.peer_address().expect("an address").to_string();
        drop(stream);
        world.until(|| raw.is_finished());
        let all = heard.all();
        let unclosed: Vec<_> = all.iter().filter(|warning| matches!(warning, Warning::Unclosed { .. })).collect();
        assert_eq!(unclosed.len(), 1, "{all:?}");
        let report = unclosed[0].to_string();
        assert!(report.contains("dropped without a close") && report.contains(&peer), "{report}");
    }

    fn s34_a_stream_that_was_closed_or_read_to_its_end_is_not_reported(world: &World) {
        let heard = Heard::on(&world.handle());
        let (closed, _raw) = world.stream();
        let (read, raw) = world.stream();
        raw.finish();
        world.finish(async move {
            closed.close().await.expect("a close");
            assert_eq!(read.read(&mut [0; 8]).await.expect("an end"), 0);
        });
        world.settle();
        assert!(!heard.all().iter().any(|warning| matches!(warning, Warning::Unclosed { .. })), "{:?}", heard.all());
    }

    fn a_stream_used_on_another_thread_is_reported_with_the_name_of_the_thread(world: &World) {
        let heard = Heard::on(&world.handle());
        let ((stream, _raw), (other, _other_raw)) = (world.stream(), world.stream());
        let (reading, writing) = other.into_split();
        let listener = world.listener();
        let line = line!() + 4;
        let used = move || {
            // An executor of another kind, as a program may have on other threads.
            let failures = [
                stream.peer_address().is_err(),
                block_on(async { stream.read(&mut [0; 8]).await }).is_err(),
                block_on(async { stream.write_all(b"x").await }).is_err(),
                block_on(async { stream.flush().await }).is_err(),
                block_on(async { stream.close().await }).is_err(),
                block_on(async { reading.read(&mut [0; 8]).await }).is_err(),
                block_on(async { writing.write_all(b"x").await }).is_err(),
                block_on(async { writing.flush().await }).is_err(),
                block_on(async { writing.close().await }).is_err(),
                block_on(async { listener.accept().await }).is_err(),
                block_on(async { listener.incoming().next().await }).is_err(),
                listener.local_address().is_err(),
                block_on(async { join!(stream.flush(), stream.close()) }).0.is_err(),
            ];
            assert!(failures.iter().all(|failed| *failed), "{failures:?}");
            let given = stream.into_transport().expect_err("the wrong thread");
            (given, reading, writing, listener)
        };
        let thread = std::thread::Builder::new().name("a-stranger".to_owned()).spawn(used).expect("a thread");
        let used = thread.join().expect("no panic");
        let wrong = || {
            let all = heard.all().into_iter().filter(|warning| matches!(warning, Warning::WrongThread { .. }));
            all.map(|warning| warning.to_string()).collect::<Vec<_>>()
        };
        world.until(|| wrong().len() >= 15);
        let lines = (line..).take(13).chain([line + 12, line + 15]);
        for (report, line) in wrong().iter().zip(lines) {
            assert!(report.contains("\"a-stranger\"") && report.contains(&here(line)), "{line}: {report}");
        }
        drop(used);
        world.settle();
        assert_eq!(wrong().len(), 15, "one for each: {:?}", wrong());
    }
}

#[test]
fn s34_open_connections_are_reported_to_the_handler_when_their_loop_ends() {
    for world in World::each() {
        let handle = world.handle();
        let heard = Heard::on(&handle);
        let (transport, _raw) = world.accept_one(Sluggish::new(&world));
        let (closing, _other) = world.accept_one(Sluggish::new(&world));
        let peer = transport.peer_address().expect("an address").to_string();
        closing.close();
        drop(world);
        let mut all = heard.all();
        // A machine that is busy with other things makes anything slow.
        all.retain(|warning| !matches!(warning, Warning::Slow { .. }));
        assert_eq!(all.len(), 1, "{all:?}");
        let report = all[0].to_string();
        assert!(report.contains("still open when its loop ended"), "{report}");
        assert!(report.contains("debug_mode::Sluggish") && report.contains(&peer), "{report}");
        assert_eq!(Rc::strong_count(&heard.0), 1, "the handler is dropped with the loop");
    }
}

#[test]
fn debug_mode_is_set_by_the_builder_and_by_the_handle() {
    let reactor = Builder::new().debug(DebugMode::new().slow(LIMIT)).build().expect("a loop");
    let handle = reactor.handle();
    assert_eq!(handle.debug(), Some(DebugMode::new().slow(LIMIT)));
    assert!(handle.is_debugging() && handle.remote().is_debugging());
    handle.set_debug(None);
    assert_eq!(handle.debug(), None);
    assert!(!handle.is_debugging() && !handle.remote().is_debugging());
    assert_eq!(Builder::new().debug(None).build().expect("a loop").handle().debug(), None);
}

#[test]
fn an_error_of_asking_for_a_loop_tells_where_it_was_asked_for() {
    let (error, line) = (Handle::current().expect_err("no loop runs here"), line!());
    let place = here(line);
    assert!(error.to_string().contains(&place), "{error}");
}

#[test]
fn a_failure_that_nobody_waits_for_reaches_the_handler_of_failures_with_the_task() {
    let memory = MemoryReactor::new();
    let (handle, notes) = (memory.handle(), Notes::new());
    let told = notes.clone();
    handle.on_failure(move |failure| told.add(failure.to_string()));
    let line = line!() + 1;
    drop(marline_tasks::spawn_on(&handle, async { Err::<(), _>(std::io::Error::other("lost")) }));
    memory.pump();
    assert_eq!(notes.len(), 1);
    assert!(notes.all()[0].contains(&here(line)) && notes.all()[0].contains("lost"), "{:?}", notes.all());
}

/// Runs within the process that the next test starts, where the variable is set.
#[test]
fn within_a_process_whose_variable_asks_for_debug_mode() {
    if std::env::var("MARLINE_DEBUG").as_deref() != Ok("50") {
        return skip("it wants the variable MARLINE_DEBUG");
    }
    let reports = Reports::default();
    let (mut spawned, mut slept, mut slow) = (0, 0, 0);
    tracing::subscriber::with_default(reports.clone(), || {
        let memory = MemoryReactor::new();
        assert_eq!(memory.handle().debug(), Some(DebugMode::new().slow(LIMIT)));
        let clock = memory.clock().clone();
        slow = line!() + 1;
        memory.handle().call_soon(move || clock.advance(SLOW));
        memory.pump();
        spawned = line!() + 1;
        drop(marline_tasks::spawn(async { unreachable!("there is no loop") }));
        slept = line!() + 1;
        let sleep = marline_tasks::sleep(SLOW);
        let limited = marline_tasks::timeout(SLOW, pending::<()>());
        let mut interval = marline_tasks::interval(SLOW);
        assert!(sleep.now_or_never().is_none() && limited.now_or_never().is_none());
        assert!(interval.tick().now_or_never().is_none());
    });
    let reports = reports.all();
    assert_eq!(reports.len(), 5, "{reports:#?}");
    for (report, line) in reports.iter().zip([slow, spawned, slept, slept + 1, slept + 2]) {
        assert!(report.contains(&here(line)), "{report}");
    }
    assert!(Builder::new().debug(None).build().expect("a loop").handle().debug().is_none());
}

#[test]
fn the_variable_turns_debug_mode_on_and_without_a_handler_tracing_is_told() {
    let name = "debug_mode::within_a_process_whose_variable_asks_for_debug_mode";
    let mut process = Command::new(std::env::current_exe().expect("this program"));
    let output = process.args(["--exact", name]).env("MARLINE_DEBUG", "50").output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
