//! A shell in a terminal, for whoever connects: each connection gets a terminal of its own. A small telnet server, without a login.
//!
//! `cargo run --example terminal -- unix:///tmp/shell.sock`, then
//! `socat "STDIO,raw,echo=0,escape=0x1d" unix-connect:/tmp/shell.sock`, which Ctrl-] leaves.
//!
//! Keys go to the shell as they are typed, so Ctrl-C and job control are the terminal's own. The client may change the size of
//! the window by a line that a terminal would never send: `\x1b[8;ROWS;COLUMNS t`, as xterm says it, without the space. When the client
//! goes, the terminal hangs up, and the shell and its jobs get SIGHUP.
use marline::prelude::*;
use marline::{Command, Exit, Process, terminal::Pty, terminal::WindowSize};

/// The client's side. What it sends is typed, but for changes of the window's size.
struct Keyboard {
    terminal: Transport,
    /// The beginning of what may become such a change.
    held: Vec<u8>,
}

impl Keyboard {
    /// Takes the changes of the size out of what was typed.
    fn type_in(&mut self, data: &[u8]) {
        self.held.extend_from_slice(data);
        while let Some(start) = self.held.windows(4).position(|four| four == b"\x1b[8;") {
            let Some(length) = self.held[start..].iter().position(|byte| *byte == b't') else { break };
            self.terminal.write(&self.held[..start]);
            let said = String::from_utf8_lossy(&self.held[start + 4..start + length]).into_owned();
            let (rows, columns) = said.split_once(';').unwrap_or_default();
            if let (Ok(rows), Ok(columns)) = (rows.parse(), columns.parse()) {
                _ = self.terminal.set_window_size(WindowSize::new(rows, columns));
            }
            self.held.drain(..=start + length);
        }
        // The rest is typed, unless it may be the beginning of a change, and is short.
        let escape = self.held.iter().rposition(|byte| *byte == 0x1b).filter(|at| self.held.len() - at < 16);
        let begins = escape.is_some_and(|at| {
            let rest = &self.held[at..];
            rest.len() > 1 && (b"\x1b[8;".starts_with(rest) || rest.starts_with(b"\x1b[8;"))
        });
        let until = escape.filter(|_| begins).unwrap_or(self.held.len());
        self.terminal.write(&self.held[..until]);
        self.held.drain(..until);
    }
}

impl Protocol for Keyboard {
    fn data_received(&mut self, client: &Transport, data: &[u8]) {
        self.type_in(data);
        if self.terminal.buffered() > self.terminal.watermarks().1 {
            client.pause_reading();
            self.terminal.notify_drained();
        }
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.terminal.resume_reading();
    }

    fn peer_closed(&mut self, client: &Transport) {
        client.close();
    }

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        self.terminal.abort();
    }
}

/// The terminal's side. What it shows is sent.
struct Screen {
    client: Transport,
}

impl Protocol for Screen {
    fn data_received(&mut self, terminal: &Transport, data: &[u8]) {
        if self.client.write(data) == WriteStatus::OverHigh {
            terminal.pause_reading();
        }
    }

    fn drained(&mut self, _: &Transport) {
        self.client.resume_reading();
    }

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        self.client.close();
    }
}

/// A client that has no terminal yet.
struct Visitor;

impl Visitor {
    fn open(client: &Transport) -> Result<()> {
        let handle = client.handle();
        let Pty { master, slave, .. } = handle.open_pty(WindowSize::new(24, 80))?;
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let shell = Command::new(shell).arg("-i").env("TERM", "xterm").terminal(slave.into_fd()?);
        handle.spawn_process(shell, |_: &Process, exit: Exit| eprintln!("a shell: {exit}"))?;
        let terminal = handle.adopt_stream(master, Screen { client: client.clone() })?;
        let keyboard = Keyboard { terminal, held: Vec::new() };
        client.watch_peer();
        client.set_protocol(keyboard, &[]).map_err(|_| "the client is gone")?;
        Ok(())
    }
}

impl Protocol for Visitor {
    fn connection_made(&mut self, client: &Transport) {
        if let Err(error) = Self::open(client) {
            client.fail(error);
        }
    }

    fn data_received(&mut self, client: &Transport, data: &[u8]) {
        client.unread(data);
    }
}

fn main() -> Result<()> {
    marline::serve(endpoint_arg("unix:///tmp/shell.sock"), |_| Visitor)
}
