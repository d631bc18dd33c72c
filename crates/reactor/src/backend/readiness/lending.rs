//! Sockets that the core receives and sends on by itself.

use std::cell::Cell;
use std::io;

use super::{Object, Readiness};
use crate::backend::object::unknown;
use crate::backend::poller::usual;
use crate::backend::{LentSocket, Received, SocketLender};
use crate::key::Key;

impl SocketLender for Readiness {
    fn lend_socket(&mut self, key: Key) -> Option<LentSocket> {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.channel().lend(),
            _ => None,
        }
    }

    fn next_announced(&mut self, keys: &[Cell<Key>]) -> usize {
        if self.answers.is_empty() { self.poller.take_usual(keys) } else { 0 }
    }

    fn note_input(&mut self, key: Key) -> bool {
        let is_input = match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.has_usual_input(),
            Some(Object::Stream(stream)) => stream.has_usual_input(),
            _ => false,
        };
        if !is_input {
            self.poller.push(usual(key));
        }
        is_input
    }

    fn was_received(&mut self, key: Key, result: io::Result<usize>) -> (Received, bool) {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => {
                let received = connection.was_received(result, &mut self.calls);
                (received, connection.is_readable())
            }
            _ => (Received::Failed(unknown()), false),
        }
    }

    fn was_sent(&mut self, key: Key, result: io::Result<usize>) -> usize {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.was_sent(result, &mut self.calls),
            _ => 0,
        }
    }
}
