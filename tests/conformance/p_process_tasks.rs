//! P: child processes, awaited.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

use futures::FutureExt;
use marline_reactor::{ChildFd, Command, Exit, SignalKind, SpawnError};
use marline_tasks::{Child, Output, Stream, WrongThread, output, output_up_to};

use crate::conformance;
use crate::p_processes::{has_processes, shell};
use crate::support::World;

fn spawn(world: &World, command: Command) -> Child {
    world.handle().enter(|| Child::spawn(command)).expect("a child")
}

async fn read_to_end(stream: Stream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 1024]);
    loop {
        match stream.read(&mut piece).await.expect("it writes") {
            0 => return bytes,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

conformance! {
    fn a_child_is_written_to_and_read_and_waited_for(world: &World) {
        if !has_processes(world) {
            return;
        }
        let data = world.payload();
        let mut child = spawn(world, Command::new("cat").piped().descriptor(5, ChildFd::Duplex));
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        assert!(child.take_pipe(2).is_some() && child.take_pipe(2).is_none());
        assert!(child.take_pipe(5).is_some() && child.take_pipe(4).is_none());
        let sent = data.clone();
        let writer = world.spawn(async move {
            input.write_all(&sent).await.expect("it reads");
            input.close().await.expect("an end");
        });
        let received = world.finish(read_to_end(output));
        assert!(received == data);
        world.join(writer);
        assert_eq!(world.finish(async move { child.wait().await.expect("an exit") }), Exit::Code(0));
        world.run();
    }

    fn any_number_of_tasks_wait_and_one_that_is_dropped_disturbs_nobody(world: &World) {
        if !has_processes(world) {
            return;
        }
        let child = Rc::new(spawn(world, shell("exec sleep 100000")));
        assert!(child.wait().now_or_never().is_none());
        assert_eq!(child.try_wait().expect("it runs"), None);
        let exits = Rc::new(Cell::new(0));
        let waits: Vec<_> = (0..3).map(|_| {
            let (child, exits) = (Rc::clone(&child), Rc::clone(&exits));
            world.spawn(async move {
                let exit = child.wait().await.expect("an exit");
                exits.set(exits.get() + 1);
                exit
            })
        }).collect();
        world.settle();
        waits[1].abort();
        child.signal(SignalKind::TERMINATE).expect("it runs");
        world.until(|| exits.get() == 2);
        let exit = world.handle().enter(|| child.wait().now_or_never()).expect("at once").expect("an exit");
        assert_eq!(exit.signal(), Some(SignalKind::TERMINATE));
        assert_eq!(child.try_wait().expect("it has ended"), Some(exit));
        assert_eq!(child.kill().expect_err("it has ended").kind(), ErrorKind::NotFound);
    }

    fn p01_wait_ends_with_the_exit_whoever_holds_the_pipe(world: &World) {
        if !has_processes(world) {
            return;
        }
        let mut child = spawn(world, shell("exec 3<&0; (read line <&3; echo $line) & exit 9").stdin(ChildFd::Input).stdout(ChildFd::Output));
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        assert_eq!(world.finish(async move { child.wait().await.expect("an exit") }), Exit::Code(9));
        let line = world.finish(async move {
            input.write_all(b"to the grandchild\n").await.expect("it reads");
            String::from_utf8(read_to_end(output).await).expect("a text")
        });
        assert_eq!(line, "to the grandchild\n");
    }

    fn output_collects_everything_up_to_a_limit_and_a_dropped_one_kills(world: &World) {
        if !has_processes(world) {
            return;
        }
        let whole = world.finish(output(shell("cat; echo out; echo err >&2; exit 3"))).expect("an output");
        assert_eq!(whole, Output { exit: Exit::Code(3), stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec() });
        let (exact, over) = ("printf 1234", "printf 12345; exec sleep 100000");
        assert_eq!(world.finish(output_up_to(shell(exact), 4)).expect("an output").stdout, b"1234");
        let refused = world.finish(output_up_to(shell(over), 4)).expect_err("too much");
        assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
        // Nobody reads more than the two, which the program is not to wait for.
        let third = shell("trap '' PIPE; head -c 1000000 /dev/zero >&3; echo out").descriptor(3, ChildFd::Output);
        assert_eq!(world.finish(output(third)).expect("an output").stdout, b"out\n");
        let missing = world.finish(output(Command::new("/no/such/program"))).expect_err("nothing to run");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let endless = world.spawn(output(shell("exec sleep 100000")));
        world.settle();
        endless.abort();
        world.settle();
        // Nothing is left that could keep the loop alive: all of them were killed.
        world.run();
    }

    fn a_dropped_child_goes_on_or_is_killed(world: &World) {
        if !has_processes(world) {
            return;
        }
        let mut detached = spawn(world, shell("read line; exit 0").stdin(ChildFd::Input));
        let input = detached.stdin.take().expect("a pipe");
        drop(detached);
        drop(spawn(world, shell("exec sleep 100000").kill_on_drop()));
        world.settle();
        assert!(world.handle().dump().contains("1 child process\n"), "{}", world.handle().dump());
        world.finish(async move { input.write_all(b"\n").await.expect("it reads") });
        world.run();
        assert!(!world.handle().dump().contains("child process"));
    }
}

#[test]
fn elsewhere_a_child_answers_with_errors_and_its_drop_reaches_the_loop() {
    assert!(matches!(Child::spawn(shell("exit 0")), Err(SpawnError::NotInLoop)));
    World::on_readiness(|world| {
        let child = spawn(world, shell("exec sleep 100000").kill_on_drop());
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                let refused = child.wait().now_or_never().expect("at once").expect_err("another thread");
                assert!(refused.get_ref().is_some_and(|inner| inner.is::<WrongThread>()));
                assert!(child.kill().is_err() && child.try_wait().is_err());
            });
            there.join().expect("the other thread");
        });
        world.run();
    });
}
