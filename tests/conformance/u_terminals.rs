//! U: terminals.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use marline_reactor::WriteStatus;
use marline_reactor::terminal::{Pty, RawMode, WindowSize};
use marline_tasks::Stream;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use crate::support::{Event, Log, Program, Trace, World, skip};
use crate::{conformance, streams};

/// Everything that is typed until the end, read while the loop turns.
fn drain(world: &World, program: &Program) -> Vec<u8> {
    let (seen, ended) = (RefCell::new(Vec::new()), Cell::new(false));
    world.until(|| {
        let (bytes, all) = program.read();
        seen.borrow_mut().extend(bytes);
        ended.set(ended.get() || all);
        ended.get()
    });
    seen.into_inner()
}

/// Whether it has a kernel: there, and nowhere else, a terminal makes something of what is typed.
fn has_kernel(world: &World) -> bool {
    if world.is_memory() {
        skip("terminals without a kernel pass on what is typed");
    }
    !world.is_memory()
}

/// Both sides of a terminal: the slave for the loop, the master for the test, which does not block.
fn reversed(world: &World) -> (OwnedFd, std::fs::File) {
    let Pty { master, slave, .. } = world.handle().open_pty(WindowSize::default()).expect("a terminal");
    let marline_reactor::backend::Opening::One(master) = master else { panic!("it has a descriptor") };
    rustix::io::ioctl_fionbio(&master, true).expect("a terminal that does not block");
    (slave.into_fd().expect("a descriptor"), master.into())
}

streams! {
    fn u07_a_master_delivers_output_and_reports_the_hang_up_as_the_end(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (_, program) = world.terminal(Trace::new(&log));
        let program = program.raw();
        let sent = Cell::new(0);
        world.until(|| {
            sent.set(sent.get() + program.write(&payload[sent.get()..]));
            sent.get() == payload.len()
        });
        drop(program);
        world.until(|| log.is_lost());
        assert!(log.bytes() == payload);
        assert_eq!((log.count(&Event::Eof), log.reason().as_deref()), (1, Some("Clean")));
        assert_eq!(world.open_sockets(), 0);
    }

    fn u08_a_terminal_is_read_and_written_at_the_same_time(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (terminal, program) = world.terminal(Trace::new(&log));
        let program = program.raw();
        assert!(terminal.write(&payload).is_accepted());
        let (sent, typed) = (Cell::new(0), RefCell::new(Vec::new()));
        world.until(|| {
            sent.set(sent.get() + program.write(&payload[sent.get()..]));
            typed.borrow_mut().extend(program.read().0);
            typed.borrow().len() == payload.len() && log.received() == payload.len()
        });
        assert!(*typed.borrow() == payload && log.bytes() == payload);
        assert!(!log.is_lost());
    }

    fn u08_input_does_not_look_like_a_reader_that_closed(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (terminal, program) = world.terminal(Trace::new(&log));
        let program = program.raw();
        terminal.pause_reading();
        assert_eq!(program.write(b"waits to be read"), 16);
        world.settle();
        assert!(terminal.write(&payload).is_accepted());
        let typed = RefCell::new(Vec::new());
        world.until(|| {
            typed.borrow_mut().extend(program.read().0);
            typed.borrow().len() == payload.len()
        });
        assert!(!log.is_lost() && log.count(&Event::Eof) == 0);
        terminal.resume_reading();
        world.until(|| log.received() == 16);
    }
}

conformance! {
    fn u07_what_a_program_wrote_and_its_end_are_there_before_the_first_turn(world: &World) {
        let log = Log::new();
        let (pty, program) = world.pty();
        assert_eq!(program.write(b"gone"), 4);
        drop(program);
        world.handle().adopt_stream(pty.master, Trace::new(&log)).expect("a terminal");
        world.until(|| log.is_lost());
        assert_eq!(log.bytes(), b"gone");
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
    }

    fn u07_closing_a_master_hangs_up(world: &World) {
        let log = Log::new();
        let (terminal, program) = world.terminal(Trace::new(&log));
        terminal.close();
        assert_eq!(drain(world, &program), b"");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn u07_write_eof_types_the_end_after_a_whole_line(world: &World) {
        let log = Log::new();
        let (terminal, program) = world.terminal(Trace::new(&log));
        terminal.write(b"a line\n");
        terminal.write_eof();
        assert_eq!(drain(world, &program), b"a line\n");
        assert_eq!(terminal.write(b"more"), WriteStatus::Closed);
        // The other direction goes on. A terminal has shown what was typed, besides.
        program.write(b"out");
        world.until(|| log.bytes().ends_with(b"out"));
    }

    fn u07_write_eof_types_the_end_also_when_a_line_is_half_typed(world: &World) {
        let log = Log::new();
        let (terminal, program) = world.terminal(Trace::new(&log));
        terminal.write(b"a line\nhalf");
        terminal.write(b" a line");
        terminal.write_eof();
        assert_eq!(drain(world, &program), b"a line\nhalf a line");
    }

    fn u07_write_eof_types_nothing_to_who_reads_each_key(world: &World) {
        if !has_kernel(world) {
            return;
        }
        let log = Log::new();
        let (terminal, program) = world.terminal(Trace::new(&log));
        let program = program.raw();
        terminal.write(b"keys");
        terminal.write_eof();
        world.settle();
        assert_eq!(program.read(), (b"keys".to_vec(), false));
    }

    fn u08_the_program_in_a_terminal_does_not_end_where_nothing_is_typed(world: &World) {
        if !has_kernel(world) {
            return;
        }
        let (slave, mut master) = reversed(world);
        let _raw = RawMode::enter(&slave).expect("raw mode");
        let mut settings = tcgetattr(&slave).expect("settings");
        settings.special_codes[SpecialCodeIndex::VMIN] = 0;
        tcsetattr(&slave, OptionalActions::Now, &settings).expect("settings");
        let log = Log::new();
        let transport = world.handle().adopt_stream(slave, Trace::new(&log)).expect("a terminal");
        for round in 1..=3 {
            master.write_all(b"key").expect("room");
            world.until(|| log.received() == 3 * round);
            world.settle();
        }
        assert_eq!(log.count(&Event::Eof), 0);
        // What a program in the terminal writes is shown, so it types no end.
        transport.write_eof();
        world.settle();
        let shown = master.read(&mut [0; 16]).expect_err("nothing");
        assert_eq!(shown.kind(), std::io::ErrorKind::WouldBlock);
        drop(master);
        world.until(|| log.is_lost());
    }

    fn the_window_of_a_terminal_is_resized_while_its_connection_lives(world: &World) {
        let log = Log::new();
        let (terminal, program) = world.terminal(Trace::new(&log));
        assert_eq!(terminal.window_size().expect("a size"), WindowSize::new(24, 80));
        let size = WindowSize { rows: 50, columns: 132, pixels: (1_056, 800) };
        terminal.set_window_size(size).expect("a terminal");
        terminal.set_window_size(size).expect("the same again");
        assert_eq!((terminal.window_size().expect("a size"), program.window_size()), (size, size));
        if let Program::Virtual(program) = &program {
            assert_eq!(program.take_resizes(), [size], "one change");
            assert!(program.take_resizes().is_empty());
        }
        terminal.abort();
        let gone = terminal.window_size().expect_err("it is gone");
        assert_eq!(gone.kind(), std::io::ErrorKind::NotConnected);
        world.until(|| log.is_lost());
    }

    fn what_is_no_terminal_has_no_window(world: &World) {
        let (pipe, _far) = world.read_pipe();
        let pipe = world.handle().adopt_stream(pipe, Trace::new(&Log::new())).expect("a pipe");
        let (socket, _raw) = world.accept_one(Trace::new(&Log::new()));
        for transport in [pipe, socket] {
            let refused = transport.set_window_size(WindowSize::new(1, 1)).expect_err("no terminal");
            assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
        }
    }

    fn u07_u08_a_terminal_is_a_stream_for_tasks(world: &World) {
        let (pty, program) = world.pty();
        let program = program.raw();
        let master = pty.master;
        let task = world.spawn(async move {
            let terminal = Stream::adopt(master).expect("a terminal");
            terminal.transport().and_then(|it| it.set_window_size(WindowSize::new(9, 9))).expect("a window");
            terminal.write_all(b"typed").await.expect("room");
            let (mut all, mut bytes) = (Vec::new(), [0; 64]);
            loop {
                match terminal.read(&mut bytes).await.expect("in good order") {
                    0 => return all,
                    count => all.extend_from_slice(&bytes[..count]),
                }
            }
        });
        let typed = RefCell::new(Vec::new());
        world.until(|| {
            typed.borrow_mut().extend(program.read().0);
            *typed.borrow() == b"typed"
        });
        assert_eq!(program.window_size(), WindowSize::new(9, 9));
        assert_eq!(program.write(b"shown"), 5);
        drop(program);
        assert_eq!(world.join(task), b"shown");
    }

    fn raw_mode_ends_with_its_guard_also_where_a_callback_panics(world: &World) {
        if !has_kernel(world) {
            return;
        }
        let Pty { slave, master: _master, .. } = world.handle().open_pty(WindowSize::default()).expect("a terminal");
        let slave = slave.into_fd().expect("a descriptor");
        let reads_lines =
            || tcgetattr(&slave).expect("settings").local_modes.contains(LocalModes::ICANON);
        let raw = RawMode::enter(&slave).expect("raw mode");
        assert!(!reads_lines());
        raw.leave().expect("the settings");
        assert!(reads_lines());

        let (log, raw) = (Log::new(), RawMode::enter(&slave).expect("raw mode"));
        assert!(!reads_lines());
        // The guard is the protocol's, and the protocol is dropped with its connection.
        let guarded = Trace::new(&log).on(Event::Made, move |_| {
            let _raw = &raw;
            panic!("in the middle of a screen");
        });
        let (pipe, _far) = world.read_pipe();
        world.handle().adopt_stream(pipe, guarded).expect("a pipe");
        world.until(|| log.is_lost());
        world.settle();
        assert!(reads_lines());
        assert!(RawMode::enter(std::fs::File::open("/dev/null").expect("a file")).is_err());
    }
}
