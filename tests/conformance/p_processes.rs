//! P: child processes, as callbacks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::{
    ChildFd, Command, Exit, KillError, Lost, Process, ProcessProtocol, SignalKind, SpawnError,
};
use marline_tests::on_sockets;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};

use crate::conformance;
use crate::support::{World, failures, reason_name, skip};

/// What happened, in words.
type Log = Rc<RefCell<Vec<String>>>;

/// Writes down what happens with a process.
#[derive(Clone, Default)]
pub struct Record {
    log: Log,
    received: Rc<RefCell<BTreeMap<RawFd, Vec<u8>>>>,
}

impl Record {
    fn note(&self, line: impl Into<String>) {
        self.log.borrow_mut().push(line.into());
    }

    pub fn has(&self, line: &str) -> bool {
        self.log.borrow().iter().any(|noted| noted == line)
    }

    pub fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// What the child wrote: that of each descriptor after that of the one before it.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.borrow().values().flatten().copied().collect()
    }

    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

impl ProcessProtocol for Record {
    fn made(&mut self, process: &Process) {
        assert_eq!(process.exit(), None);
        self.note("made");
    }

    fn data_received(&mut self, _: &Process, descriptor: RawFd, data: &[u8]) {
        assert!(!self.has("ended"));
        self.received.borrow_mut().entry(descriptor).or_default().extend_from_slice(data);
    }

    fn pipe_lost(&mut self, _: &Process, descriptor: RawFd, lost: &Lost) {
        self.note(format!("{descriptor} {}", reason_name(lost)));
    }

    fn exited(&mut self, process: &Process, exit: Exit) {
        assert_eq!(process.exit(), Some(exit));
        self.note(format!("exited: {exit}"));
    }

    fn ended(&mut self, _: &Process, exit: Exit) {
        assert!(!self.has("ended"));
        self.note("ended");
        self.note(format!("{exit:?}"));
    }
}

/// A command line for the shell.
pub fn shell(line: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(line).stdin(ChildFd::Null)
}

/// Whether there are processes in this world: real ones are the kernel's.
pub fn has_processes(world: &World) -> bool {
    if world.is_memory() {
        skip("the programs of the system do not run without a kernel; virtual ones are tested apart");
    }
    !world.is_memory()
}

fn spawn(world: &World, command: Command) -> (Process, Record) {
    let record = Record::default();
    let process = world.handle().spawn_process(command, record.clone()).expect("a process");
    (process, record)
}

/// Runs a command to its end: what it wrote, and how it ended.
fn run(world: &World, command: Command) -> (String, Exit) {
    let (process, record) = spawn(world, command);
    world.until(|| record.has("ended"));
    (record.received(), process.exit().expect("it has ended"))
}

/// Waits until a child has exited, and leaves its status to be collected.
fn await_zombie(process: &Process) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a number");
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("a child");
}

conformance! {
    fn p01_exited_comes_while_a_grandchild_holds_the_pipe_and_ended_when_all_are_closed(world: &World) {
        if !has_processes(world) {
            return;
        }
        let line = "sleep 100000 & echo $!; exit 3";
        let (process, record) = spawn(world, shell(line).stdout(ChildFd::Output).stderr(ChildFd::Output));
        world.until(|| process.exit().is_some() && record.received().ends_with('\n'));
        world.settle();
        assert_eq!(record.log(), ["made", "exited: exited with the code 3"]);
        assert!(process.transport(1).is_some() && process.transport(0).is_none());
        let grandchild = record.received().trim().parse().ok().and_then(Pid::from_raw).expect("a number");
        kill_process(grandchild, Signal::KILL).expect("it runs");
        world.until(|| record.has("ended"));
        world.settle();
        let log = record.log();
        assert_eq!((log.len(), &log[4..]), (6, &["ended".to_owned(), "Code(3)".to_owned()][..]), "{log:?}");
        assert!(record.has("1 Clean") && record.has("2 Clean"));
        assert!(process.transport(1).is_none());
        world.run();
    }

    fn p02_codes_and_signals_are_told_exactly(world: &World) {
        if !has_processes(world) {
            return;
        }
        for code in [0, 1, 7, 255] {
            assert_eq!(run(world, shell(&format!("exit {code}"))).1, Exit::Code(code));
        }
        for signal in [SignalKind::TERMINATE, SignalKind::KILL, SignalKind::USER1, SignalKind::HANGUP] {
            let exit = run(world, shell(&format!("kill -{} $$", signal.as_raw()))).1;
            assert_eq!(exit, Exit::Signal { signal, core_dumped: false });
            assert_eq!((exit.code(), exit.signal(), exit.success()), (None, Some(signal), false));
        }
    }

    fn p04_the_child_has_the_descriptors_that_were_asked_for_and_no_others(world: &World) {
        if !has_processes(world) {
            return;
        }
        // One that somebody forgot to close at exec: the number of each descriptor of the rest is smaller.
        let forgotten: OwnedFd = File::open("/dev/null").expect("a file").into();
        let forgotten = rustix::io::fcntl_dupfd_cloexec(&forgotten, 60).expect("a high number");
        rustix::io::fcntl_setfd(&forgotten, rustix::io::FdFlags::empty()).expect("an open one");
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        ours.write_all(b"from ours\n").expect("room");
        let line = "read line <&5; echo $line; read line <&9; echo $line; echo duplex >&9; \
            for number in $(seq 0 100); do [ -e /proc/$$/fd/$number ] && echo $number >&7; done; exit 0";
        let record = Record::default();
        let command = shell(line)
            .stdout(ChildFd::Output)
            .descriptor(4, ChildFd::Null)
            .descriptor(5, theirs)
            .descriptor(7, ChildFd::Output)
            .descriptor(9, ChildFd::Duplex)
            .descriptor(40, ChildFd::Input);
        let process = world.handle().spawn_process(command, record.clone()).expect("a process");
        process.transport(9).expect("a pipe").write(b"to nine\n");
        world.until(|| record.has("ended"));
        assert!(forgotten.as_raw_fd() >= 60);
        let text = record.received();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["0", "1", "2", "4", "40", "5", "7", "9", "duplex", "from ours", "to nine"]);
    }

    fn p04_descriptors_may_be_crossed(world: &World) {
        if !has_processes(world) {
            return;
        }
        let file = |text: &str| {
            let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
            File::from(writer).write_all(text.as_bytes()).expect("room");
            reader
        };
        // Numbers that are in use here, each given to another.
        let pipes: Vec<OwnedFd> = ["a", "b", "c", "d"].map(file).into();
        let numbers: Vec<RawFd> = pipes.iter().map(AsRawFd::as_raw_fd).collect();
        let mut command = Command::new("/bin/sh").stdin(ChildFd::Null).stdout(ChildFd::Output);
        let mut line = String::new();
        for (index, pipe) in pipes.into_iter().enumerate() {
            let number = numbers[(index + 1) % numbers.len()];
            line += &format!("cat /proc/self/fd/{number}; ");
            command = command.descriptor(number, pipe);
        }
        assert_eq!(run(world, command.arg("-c").arg(line)), ("abcd".to_owned(), Exit::Code(0)));
    }

    fn p05_signalling_an_exited_child_is_an_error(world: &World) {
        if !has_processes(world) {
            return;
        }
        let (process, record) = spawn(world, shell("exit 4"));
        await_zombie(&process);
        // Nobody was told yet, and its status is not collected by anybody.
        assert!(matches!(process.signal(SignalKind::TERMINATE), Err(KillError::Exited)));
        assert_eq!(process.exit(), None);
        world.until(|| record.has("ended"));
        assert!(matches!(process.kill(), Err(KillError::Exited)));
        assert_eq!(record.log(), ["made", "exited: exited with the code 4", "ended", "Code(4)"]);
    }

    fn a_signal_reaches_the_child(world: &World) {
        if !has_processes(world) {
            return;
        }
        let line = "trap 'echo hung up' HUP; echo ready; read line; read line; exit 0";
        let (process, record) = spawn(world, shell(line).stdin(ChildFd::Input).stdout(ChildFd::Output));
        world.until(|| record.received() == "ready\n");
        process.signal(SignalKind::HANGUP).expect("it runs");
        let nonsense = SignalKind::from_raw(12345);
        assert!(matches!(process.signal(nonsense), Err(KillError::System { signal, .. }) if signal == nonsense));
        process.transport(0).expect("a pipe").write(b"\n\n");
        world.until(|| record.has("ended"));
        assert_eq!((record.received(), process.exit()), ("ready\nhung up\n".to_owned(), Some(Exit::Code(0))));
        let (process, record) = spawn(world, shell("exec sleep 100000"));
        process.kill().expect("it runs");
        world.until(|| record.has("ended"));
        assert_eq!(process.exit().and_then(Exit::signal), Some(SignalKind::KILL));
    }

    fn p06_a_child_that_exits_before_the_loop_runs_is_collected_when_it_does(world: &World) {
        if !has_processes(world) {
            return;
        }
        let (process, record) = spawn(world, shell("exit 6"));
        await_zombie(&process);
        assert!(record.log().is_empty(), "everything is told from the loop");
        // The child keeps the loop alive, and nothing else does.
        world.run();
        assert_eq!(record.log(), ["made", "exited: exited with the code 6", "ended", "Code(6)"]);
    }

    fn p08_a_child_that_closes_its_input_ends_that_pipe_only(world: &World) {
        if !has_processes(world) {
            return;
        }
        let line = "exec <&-; echo closed; read line <&3; echo $line; exit 5";
        let command = shell(line).stdin(ChildFd::Input).stdout(ChildFd::Output).descriptor(3, ChildFd::Input);
        let (process, record) = spawn(world, command);
        world.until(|| record.received() == "closed\n");
        process.transport(0).inspect(|input| _ = input.write(b"nobody reads this"));
        world.until(|| record.log().iter().any(|line| line.starts_with("0 ")));
        world.settle();
        assert_eq!((record.log().len(), process.exit()), (2, None), "{:?}", record.log());
        process.transport(3).expect("the other pipe").write(b"still here\n");
        world.until(|| record.has("ended"));
        assert_eq!((record.received(), process.exit()), ("closed\nstill here\n".to_owned(), Some(Exit::Code(5))));
    }

    fn megabytes_pass_through_a_child_and_its_input_ends_behind_them(world: &World) {
        if !has_processes(world) {
            return;
        }
        let data = crate::support::pattern(1024 * 1024);
        let (process, record) = spawn(world, Command::new("cat").piped());
        let input = process.transport(0).expect("a pipe");
        input.write(&data);
        input.close();
        world.until(|| record.has("ended"));
        assert!(record.bytes() == data);
        assert_eq!(process.exit(), Some(Exit::Code(0)));
    }

    fn what_cannot_be_started_is_an_error_and_its_protocol_is_dropped(world: &World) {
        if !has_processes(world) {
            return;
        }
        let refused = |command| {
            let held = Rc::new(());
            let inside = Rc::clone(&held);
            let protocol = move |_: &Process, _: Exit| drop(Rc::clone(&inside));
            let error = world.handle().spawn_process(command, protocol).expect_err("a refusal");
            assert_eq!(Rc::strong_count(&held), 1);
            error
        };
        let error = refused(Command::new("/no/such/program").piped());
        assert!(matches!(&error, SpawnError::System { program, .. } if program == "/no/such/program"));
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
        let nowhere = refused(shell("exit 0").current_dir("/no/such/folder"));
        assert!(matches!(nowhere, SpawnError::System { .. }));
        for number in [-1, RawFd::MAX, 987] {
            let what = if number == 987 { ChildFd::Inherit } else { ChildFd::Null };
            let error = refused(shell("exit 0").piped().descriptor(number, what));
            assert!(matches!(error, SpawnError::Descriptor { number: named, .. } if named == number));
        }
        world.run();
    }

    fn a_handle_that_is_dropped_kills_where_that_was_asked_for(world: &World) {
        if !has_processes(world) {
            return;
        }
        let (process, stays) = spawn(world, shell("read line; exit 1").stdin(ChildFd::Input));
        let input = process.transport(0).expect("a pipe");
        drop(process);
        let (killed, record) = spawn(world, shell("exec sleep 100000").kill_on_drop());
        let second = killed.clone();
        drop(killed);
        world.settle();
        assert_eq!(second.exit(), None, "there is another handle");
        drop(second);
        world.until(|| record.has("ended"));
        assert!(record.has("exited: was ended by SIGKILL"));
        assert_eq!(stays.log(), ["made"]);
        input.write(b"\n");
        world.until(|| stays.has("ended"));
        assert!(stays.has("exited: exited with the code 1"));
    }

    fn a_child_keeps_the_loop_alive_unless_it_is_unreferenced(world: &World) {
        if !has_processes(world) {
            return;
        }
        let (process, record) = spawn(world, shell("exec sleep 100000"));
        process.unreference();
        world.run();
        assert_eq!(record.log(), ["made"]);
        let dump = world.handle().dump();
        assert!(dump.contains("1 child process\n") && dump.contains("p_processes.rs"), "{dump}");
        process.kill().expect("it runs");
        world.until(|| record.has("ended"));
    }

    fn a_panic_of_the_protocol_is_reported_and_ends_a_pipe_where_it_is_about_one(world: &World) {
        struct Panics(Record);
        impl ProcessProtocol for Panics {
            fn data_received(&mut self, _: &Process, _: RawFd, _: &[u8]) {
                panic!("about a pipe");
            }
            fn pipe_lost(&mut self, process: &Process, descriptor: RawFd, lost: &Lost) {
                self.0.pipe_lost(process, descriptor, lost);
            }
            fn exited(&mut self, _: &Process, _: Exit) {
                panic!("about the exit");
            }
            fn ended(&mut self, process: &Process, exit: Exit) {
                self.0.ended(process, exit);
            }
        }
        if !has_processes(world) {
            return;
        }
        let (told, record) = (failures(&world.handle()), Record::default());
        let command = shell("echo something; read line; exit 0").stdin(ChildFd::Input).stdout(ChildFd::Output);
        let process = world.handle().spawn_process(command, Panics(record.clone())).expect("a process");
        world.until(|| record.has("1 Panicked"));
        process.transport(0).expect("it stays").write(b"\n");
        world.until(|| record.has("ended"));
        assert!(told.borrow().iter().any(|failure| failure.contains("about the exit")), "{:?}", told.borrow());
    }

    fn another_protocol_may_have_a_pipe_for_itself(world: &World) {
        if !has_processes(world) {
            return;
        }
        let (process, record) = spawn(world, shell("echo for another; exit 2").stdout(ChildFd::Output));
        let taken = Rc::new(RefCell::new(Vec::new()));
        let bytes = Rc::clone(&taken);
        let output = process.transport(1).expect("a pipe");
        let other = move |_: &marline_reactor::Transport, data: &[u8]| bytes.borrow_mut().extend_from_slice(data);
        output.set_protocol(other, &[]).expect("it is there");
        world.until(|| record.has("ended") && taken.borrow().ends_with(b"\n"));
        assert_eq!((record.received(), &taken.borrow()[..]), (String::new(), &b"for another\n"[..]));
    }

    fn a_loop_that_ends_leaves_its_children_or_kills_them(world: &World) {
        if !has_processes(world) {
            return;
        }
        for shuts_down in [false, true] {
            let world = world.fresh();
            let (killed, first) = spawn(&world, shell("exec sleep 100000").kill_on_drop());
            let (left, second) = spawn(&world, shell("read line; exit 0").stdin(ChildFd::Input));
            // Not by number: another test has the system give numbers out again.
            let (dead, alive) = (pidfd(&killed), pidfd(&left));
            world.settle();
            if shuts_down {
                world.handle().shutdown();
                world.until(|| world.handle().is_over());
                assert!(second.has("0 Shutdown"), "{:?}", second.log());
            }
            drop(world);
            assert!(!first.has("ended") && !second.has("ended"), "nobody is told");
            assert!(is_collected(&dead), "it is gone, and collected");
            assert!(matches!(left.signal(SignalKind::KILL), Err(KillError::Over)));
            // Its input has ended with the loop, so that it ends. Whoever comes next collects it, be it another test.
            _ = waitid(WaitId::PidFd(alive.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            World::on_readiness(|world| _ = run(world, shell("exit 0")));
            assert!(is_collected(&alive), "it is collected");
        }
    }
}

fn pidfd(process: &Process) -> OwnedFd {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a number");
    pidfd_open(pid, PidfdFlags::empty()).expect("a child")
}

/// Whether the child is no child of this process any more: it is gone, and its status is taken.
fn is_collected(child: &OwnedFd) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    matches!(waitid(WaitId::PidFd(child.as_fd()), look), Err(Errno::CHILD))
}

on_sockets! { p05_a_number_that_another_process_got_is_never_hit }

/// The system is asked to give out the number again. That wants rights, and luck.
fn p05_a_number_that_another_process_got_is_never_hit(backend: &str) {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    let reactor = marline_tests::backends::reactor(backend);
    let ended = Rc::new(Cell::new(0));
    let spawn = |line: &str| {
        let ended = Rc::clone(&ended);
        let protocol = move |_: &Process, _: Exit| ended.set(ended.get() + 1);
        let waiting = shell(line).descriptor(3, ChildFd::Input);
        reactor.handle().spawn_process(waiting, protocol).expect("a process")
    };
    let old = spawn("exit 0");
    while ended.get() == 0 {
        reactor.turn(Some(marline_tests::PATIENCE)).expect("a turn");
    }
    for attempt in 0..100 {
        if std::fs::write(LAST, (old.id() - 1).to_string()).is_err() {
            return skip("the system does not let this process choose numbers");
        }
        let new = spawn("read line <&3; exit 0");
        let same = new.id() == old.id();
        if same {
            assert!(matches!(old.kill(), Err(KillError::Exited)));
            assert_eq!(new.exit(), None);
        }
        new.kill().unwrap_or_else(|error| assert!(matches!(error, KillError::Exited)));
        while ended.get() < 2 + attempt {
            reactor.turn(Some(marline_tests::PATIENCE)).expect("a turn");
        }
        if same {
            return;
        }
    }
    skip("others took the number each time");
}

conformance! {
    fn a_child_may_have_a_session_and_a_terminal_of_its_own(world: &World) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        if !has_processes(world) {
            return;
        }
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&main).expect("a terminal");
        unlockpt(&main).expect("a terminal");
        let name = ptsname(&main, Vec::new()).expect("a name").into_string().expect("a name");
        let far = File::options().read(true).write(true).open(&name).expect("the far side");
        // Only who has a controlling terminal can open this name.
        let line = "echo through the name >/dev/tty; echo through the descriptor; exit 0";
        // Its leader leads a group, too, so to ask for one changes nothing.
        let command = Command::new("/bin/sh").arg("-c").arg(line).process_group(0).terminal(far);
        let (process, record) = spawn(world, command);
        world.until(|| record.has("ended"));
        assert_eq!(process.exit(), Some(Exit::Code(0)));
        let (mut text, mut main) = (String::new(), File::from(main));
        // It ends with EIO when nobody has the far side.
        _ = main.read_to_string(&mut text);
        assert_eq!(text, "through the name\r\nthrough the descriptor\r\n");

        let leader = "[ $(ps -o sid= -p $$) -eq $$ ] && [ $(ps -o pgid= -p $$) -eq $$ ]";
        let has_ps = run(world, shell("command -v ps >/dev/null")).1.success();
        if has_ps {
            assert_eq!(run(world, shell(leader).session()).1, Exit::Code(0));
            let group = "[ $(ps -o sid= -p $$) -ne $$ ] && [ $(ps -o pgid= -p $$) -eq $$ ]";
            assert_eq!(run(world, shell(group).process_group(0)).1, Exit::Code(0));
        }
    }
}
