//! The picture of a loop.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, VirtualSource};
use marline_reactor::{Addresses, Handle, Interest, Protocol, Transport, WriteStatus};
use marline_tasks::task::Builder;

use crate::conformance;
use crate::support::{Notes, World, address_of};

/// Receives and says nothing.
struct Silent;

impl Protocol for Silent {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}
}

fn lines_with<'a>(dump: &'a str, part: &str) -> Vec<&'a str> {
    dump.lines().filter(|line| line.contains(part)).collect()
}

#[track_caller]
fn one_line<'a>(dump: &'a str, part: &str) -> &'a str {
    match lines_with(dump, part)[..] {
        [line] => line,
        ref lines => panic!("{} lines have {part:?}:\n{dump}", lines.len()),
    }
}

#[test]
fn a_dump_of_a_loop_in_memory() {
    let memory = MemoryReactor::new();
    let handle = memory.handle();
    let server = handle.listen("tcp://127.0.0.1:8000", |_: &Addresses| Silent).expect("a listener");
    server.set_limit(3);
    let peer = memory.connect("127.0.0.1:8000").expect("a peer");
    memory.pump();
    let (later, every) = (line!() + 1, line!() + 2);
    handle.call_later(Duration::from_millis(1500), || {}).unreference();
    let _timer = handle.call_every(Duration::from_secs(1), || {});
    let (signal, connect) = (line!() + 1, line!() + 2);
    let _signal = handle.signal(|| {});
    handle.connect("tcp://10.0.0.1:80", |_: &Addresses| Silent, |_| {});
    let _alive = handle.keep_alive();
    handle.before_sleep(|| {});
    let (idle, paused) = (line!() + 1, line!() + 2);
    let first = handle.watch(VirtualSource::new(), Interest::READABLE, |_, _| {}).expect("a watch");
    let watch = handle.watch(VirtualSource::new(), Interest::WRITABLE.edge(), |_, _| {}).expect("a watch");
    watch.pause().expect("a pause");
    watch.unreference();
    assert_eq!(handle.stats().watches, 2);
    let [first, second] =
        [&first, &watch].map(|watch| format!("{watch:?}").replace("Watch(", "").replace(')', ""));
    handle.on_dump("jobs", |text| text.push_str("7 of 9\n8 of 9"));
    let port = peer.addresses().local.as_inet().expect("an internet address").port();
    let (file, loop_id) = (file!(), handle.loop_id());
    let dump = handle.dump();
    let wanted = format!(
        "{loop_id:?} on memory, alive
  1 turns, 0 callbacks, 1 events
  ready: 0 (at most 0 so far); posts of other threads: 0
  callbacks of the last turn took 0ns, of the longest 0ns
  timers that came due: 0, the last 0ns late, the latest 0ns
  names being looked up: 0; blocking jobs: 0; guards that keep it running: 1; hooks before sleep: 1
1 connection
  connection 1.1 (conformance::dump::Silent), tcp://127.0.0.1:8000 with tcp://127.0.0.1:{port}: open
1 listener
  0.1 on tcp://127.0.0.1:8000: accepting, 1 of at most 3 connections
no datagram sockets
2 watched sources
  {first} a virtual source for readable, watched at {file}:{idle}:24
  {second} a virtual source for writable | edge, paused, does not keep the loop running, watched at {file}:{paused}:24
1 attempt to connect
  to tcp://10.0.0.1:80, begun at {file}:{connect}:12: trying tcp://10.0.0.1:80; 0 addresses left, 0 failed
2 timers
  in 1s and every 1s, set at {file}:{every}:25
  in 1.5s, set at {file}:{later}:12, does not keep the loop running
1 signal
  made at {file}:{signal}:26
jobs
  7 of 9
  8 of 9
"
    );
    assert_eq!(dump, wanted);
}

conformance! {
    fn a_dump_lists_the_tasks_with_their_names_and_who_started_them(world: &World) {
        let line = line!() + 1;
        let _idle = Builder::new().name("idle").spawn_on(&world.handle(), std::future::pending::<()>());
        world.settle();
        let _queued = world.spawn(std::future::pending::<()>());
        let dump = world.handle().dump();
        let tasks = dump.split_once("tasks\n").expect("the tasks").1;
        let tasks: Vec<_> = tasks.lines().collect();
        assert_eq!(tasks.len(), 2, "{dump}");
        assert!(tasks[0].starts_with("  task 1 \"idle\": waiting, 1 polls, started at "), "{dump}");
        assert!(tasks[0].contains(&format!("started at {}:{line}:", file!())), "{dump}");
        assert!(tasks[1].starts_with("  task 2: queued, 0 polls, started at "), "{dump}");
    }

    fn a_dump_tells_the_state_of_each_connection(world: &World) {
        let (paused, _first) = world.accept_one(Silent);
        let (ending, _second) = world.accept_one(Silent);
        let (writing, _third) = world.accept_one(Silent);
        paused.pause_reading();
        ending.write_eof();
        assert_eq!(writing.write([0; 100]), WriteStatus::Ok);
        let dump = world.handle().dump();
        assert!(dump.contains("3 connections"), "{dump}");
        let line = |transport: &Transport| one_line(&dump, &format!("connection {:?} ", transport.key()));
        for transport in [&paused, &ending, &writing] {
            let ends = transport.local_address().zip(transport.peer_address()).expect("addresses");
            assert!(line(transport).contains(&format!("{} with {}", ends.0, ends.1)), "{dump}");
            assert!(line(transport).contains("dump::Silent>), "), "{dump}");
        }
        assert!(line(&paused).ends_with(": open, reading paused"), "{dump}");
        assert!(line(&ending).ends_with(": we have ended our direction"), "{dump}");
        assert!(line(&writing).ends_with(": open, 100 bytes to send"), "{dump}");
        let mut all = [&paused, &ending, &writing];
        all.sort_by_key(|transport| transport.key().index());
        let places = all.map(|transport| dump.find(line(transport)));
        assert!(places.is_sorted(), "in the order of their slots");
    }

    fn a_dump_tells_of_listeners_and_of_the_queue(world: &World) {
        let handle = world.handle();
        let server = world.listen(|_: &Addresses| Silent);
        let address = address_of(&server).to_string();
        handle.call_soon(|| {});
        let dump = handle.dump();
        assert!(one_line(&dump, &address).ends_with("accepting, 0 connections"), "{dump}");
        assert!(dump.contains("ready: 1 ("), "{dump}");
        server.pause();
        assert!(one_line(&handle.dump(), &address).contains("paused"));
        server.set_limit(0);
        server.resume();
        assert!(one_line(&handle.dump(), &address).contains("full, 0 of at most 0 connections"));
        server.stop();
        world.until(|| handle.stats().listeners == 0);
        assert!(handle.dump().contains("no listeners"));
    }

    fn a_dump_within_a_callback_says_whose_callback_runs(world: &World) {
        let dumps = Notes::new();
        let taken = dumps.clone();
        let (_, raw) = world.accept_one(move |transport: &Transport, _: &[u8]| taken.add(transport.handle().dump()));
        raw.write(b"x");
        world.until(|| dumps.len() == 1);
        assert_eq!(lines_with(&dumps.all()[0], "(its callback runs)").len(), 1, "{:?}", dumps.all());
    }

    fn a_dump_can_be_asked_for_from_another_thread(world: &World) {
        let (remote, (sender, dumps)) = (world.handle().remote(), mpsc::channel());
        let _kept = world.accept_one(Silent);
        let asking = std::thread::spawn(move || {
            let here = remote.clone();
            let asked = remote.post(move || drop(sender.send(here.local().map(|handle| handle.dump()))));
            assert!(asked.is_ok());
            dumps.recv().expect("an answer").expect("a loop")
        });
        world.until_elsewhere(|| asking.is_finished());
        assert!(asking.join().expect("no panic").contains("dump::Silent"));
    }

    fn a_section_replaces_the_one_of_its_title_and_may_fail_or_dump_itself(world: &World) {
        let handle = world.handle();
        let held = Rc::new(Cell::new(0));
        let old = Rc::clone(&held);
        handle.on_dump("first", move |_| old.set(1));
        let inner = handle.clone();
        handle.on_dump("second", move |text| text.push_str(one_line(&inner.dump(), "just being written")));
        handle.on_dump("third", |_| panic!("in the writer"));
        handle.on_dump("first", |text| text.push_str("anew"));
        assert_eq!((Rc::strong_count(&held), held.get()), (1, 0), "the old writer is dropped");
        for _ in 0..2 {
            let dump = handle.dump();
            let sections = dump.split_once("first\n").expect("the sections").1;
            let wanted = "  anew\nsecond\n    (it is just being written)\nthird\n  (its writer panicked: in the writer)\n";
            assert_eq!(sections, wanted);
        }
    }
}

#[test]
fn a_loop_that_is_over_has_a_dump_too() {
    for world in World::each() {
        let handle = world.handle();
        let _kept = world.accept_one(Silent);
        let held = Rc::new(());
        let kept = Rc::clone(&held);
        handle.on_dump("more", move |_| drop(Rc::clone(&kept)));
        handle.shutdown();
        assert!(handle.dump().contains("alive") || handle.dump().contains("shutting down"));
        world.run();
        assert!(handle.dump().contains("shut down"), "{}", handle.dump());
        drop(world);
        assert_eq!(Rc::strong_count(&held), 1, "what writes is dropped with the loop");
        assert!(handle.dump().contains("on ended, ended\n"), "{}", handle.dump());
        assert!(Handle::find(handle.loop_id()).is_none());
    }
}
