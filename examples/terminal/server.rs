//! The server: a shell in a terminal for each connection.
use marline::prelude::*;
use marline::terminal::{Pty, WindowSize};
use marline::{Command, Exit, Process};

use crate::keys::Keys;

/// The client's side. What it types goes to the terminal.
struct Keyboard {
    terminal: Transport,
    keys: Keys,
}

impl Protocol for Keyboard {
    fn data_received(&mut self, client: &Transport, data: &[u8]) {
        let (typed, size) = self.keys.take(data);
        if let Some(size) = size {
            // It fails when the shell is gone, and then the connection ends anyway.
            _ = self.terminal.set_window_size(size);
        }
        self.terminal.write(&typed);
        if self.terminal.buffered() > self.terminal.watermarks().1 {
            client.pause_reading();
            self.terminal.notify_drained();
        }
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.terminal.resume_reading();
    }

    fn drained(&mut self, _: &Transport) {
        self.terminal.resume_reading();
    }

    /// Nobody is there any more, also if the shell has not taken everything that was typed.
    fn peer_closed(&mut self, client: &Transport) {
        client.abort();
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
            // It may be sent before the client is ever told to pause, and nothing is resumed then.
            self.client.notify_drained();
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
        let keyboard = Keyboard { terminal, keys: Keys::default() };
        // A shell that takes no keys keeps the client from being read, and its end from being noticed otherwise.
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

pub(super) fn run(endpoint: &str) -> Result<()> {
    marline::serve(endpoint, |_| Visitor)
}
