//! P: child processes without a kernel, which the test plays.

use std::io::ErrorKind;
use std::rc::Rc;

use marline_reactor::testing::{Network, VirtualChild};
use marline_reactor::{ChildFd, Command, Exit, KillError, Process, SignalKind, SpawnError};
use marline_tasks::Child;

use crate::conformance;
use crate::p_processes::Record;
use crate::support::{World, skip};

/// The network, where there is one without a kernel.
fn network(world: &World) -> Option<Network> {
    let memory = world.as_memory();
    if memory.is_none() {
        skip("the system's own programs run here");
    }
    memory.map(|memory| memory.network().clone())
}

fn start(world: &World, network: &Network, command: Command) -> (Process, Record, VirtualChild) {
    let program = network.add_program(command.get_program());
    let record = Record::default();
    let process = world.handle().spawn_process(command, record.clone()).expect("a process");
    (process, record, program.started().expect("a child"))
}

conformance! {
    fn p01_a_virtual_child_exits_while_its_pipe_is_held_and_ends_when_it_is_not(world: &World) {
        let Some(network) = network(world) else { return };
        let (process, record, child) = start(world, &network, Command::new("parent").arg("one").piped());
        assert_eq!((child.args(), child.id()), (vec!["one".into()], process.id()));
        let held = child.take_pipe(1).expect("a pipe");
        held.write(b"before");
        child.exit(Exit::Code(3));
        child.exit(Exit::Code(4));
        world.until(|| process.exit().is_some());
        world.settle();
        assert_eq!(process.exit(), Some(Exit::Code(3)));
        assert!(!record.has("ended") && record.has("0 Clean") && record.has("2 Clean"), "{:?}", record.log());
        held.write(b" and after");
        drop(held);
        world.until(|| record.has("ended"));
        world.settle();
        assert_eq!((record.received().as_str(), record.log()[0].as_str()), ("before and after", "made"));
        world.run();
    }

    fn p02_p05_a_virtual_child_gets_signals_and_none_after_its_exit(world: &World) {
        let Some(network) = network(world) else { return };
        let (process, record, child) = start(world, &network, Command::new("daemon"));
        process.signal(SignalKind::HANGUP).expect("it runs");
        process.signal(SignalKind::TERMINATE).expect("it runs");
        assert_eq!(child.signals(), [SignalKind::HANGUP, SignalKind::TERMINATE]);
        let exit = Exit::Signal { signal: SignalKind::TERMINATE, core_dumped: false };
        child.exit(exit);
        // Nobody was told yet.
        assert!(matches!(process.kill(), Err(KillError::Exited)));
        assert_eq!(child.signals(), []);
        world.until(|| record.has("ended"));
        assert_eq!(process.exit(), Some(exit));
        let (process, record, child) = start(world, &network, Command::new("stubborn").kill_on_drop());
        world.settle();
        drop(process);
        assert!(child.has_exited());
        world.until(|| record.has("exited: was ended by SIGKILL"));
    }

    fn p08_a_virtual_child_that_closes_its_input_ends_that_pipe_only(world: &World) {
        let Some(network) = network(world) else { return };
        let command = Command::new("reader").stdin(ChildFd::Input).descriptor(3, ChildFd::Duplex);
        let (process, record, child) = start(world, &network, command);
        drop(child.take_pipe(0));
        process.transport(0).inspect(|input| _ = input.write(b"nobody reads this"));
        world.until(|| record.log().iter().any(|line| line.starts_with("0 ")));
        world.settle();
        let other = child.take_pipe(3).expect("the other pipe");
        process.transport(3).expect("it stays").write(b"still here");
        world.settle();
        assert_eq!((other.read(), process.exit()), (b"still here".to_vec(), None));
        drop(other);
        child.exit(Exit::Code(0));
        world.until(|| record.has("ended"));
    }

    fn programs_that_are_not_there_cannot_be_started(world: &World) {
        let Some(network) = network(world) else { return };
        let refused = |command: Command| {
            let error = world.handle().spawn_process(command, Record::default()).expect_err("a refusal");
            assert!(matches!(error, SpawnError::System { .. }));
            std::io::Error::from(error).kind()
        };
        assert_eq!(refused(Command::new("cat")), ErrorKind::NotFound);
        let cat = network.add_program("cat");
        let descriptor = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(refused(Command::new("cat").stdin(descriptor)), ErrorKind::Unsupported);
        assert!(cat.started().is_none());
        drop(cat);
        assert_eq!(refused(Command::new("cat")), ErrorKind::NotFound);
        world.run();
    }

    fn a_virtual_child_is_awaited(world: &World) {
        let Some(network) = network(world) else { return };
        let cat = network.add_program("cat");
        let mut child = world.handle().enter(|| Child::spawn(Command::new("cat").piped())).expect("a child");
        let played = cat.started().expect("a child");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let child = Rc::new(child);
        let waits = Rc::clone(&child);
        let exit = world.spawn(async move { waits.wait().await.expect("an exit") });
        let writes = world.spawn(async move { input.write_all(b"hello").await });
        world.settle();
        let theirs = played.take_pipe(0).expect("a pipe");
        let read = theirs.read();
        assert_eq!(read, b"hello");
        played.take_pipe(1).expect("a pipe").write(&read);
        world.join(writes).expect("it was read");
        let answer = world.finish(async move {
            let mut answer = Vec::new();
            let mut piece = [0; 16];
            while let Ok(count @ 1..) = output.read(&mut piece).await {
                answer.extend_from_slice(&piece[..count]);
            }
            answer
        });
        assert_eq!(answer, b"hello");
        played.exit(Exit::Code(0));
        assert_eq!(world.join(exit), Exit::Code(0));
    }
}
