//! A backend of one's own in a page: connections within the process, with an echo server, a client and a timer on them.
//!
//! `cargo run --example own_backend`: it says what came back over a connection that no kernel knows of. What is asked of
//! each operation is told in `marline::backend`; those that are not here have defaults.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use marline::backend::*;
use marline::prelude::*;
use marline::{Address, Choices, Key};

/// One direction: what was sent and not received, whether that was all, and who is told of it.
struct Wire(VecDeque<u8>, bool, Option<Key>);
/// What an end of a connection reads from, and what it writes to.
type End = [Rc<RefCell<Wire>>; 2];

#[derive(Default)]
struct Within {
    choices: Choices,
    bell: Arc<Bell>,
    listener: Option<(Key, Address)>,
    waiting: VecDeque<End>,
    ends: BTreeMap<Key, End>,
    completions: VecDeque<Completion>,
    due: usize, // What this turn gives out of them. What it causes waits, so that it ends.
}

impl Within {
    /// Changes what the peer of `key` reads from, and tells it.
    fn write(&mut self, key: Key, change: impl FnOnce(&mut Wire)) {
        let Some([_, wire]) = self.ends.get(&key) else { return };
        change(&mut wire.borrow_mut());
        let reader = wire.borrow().2.filter(|reader| self.ends.contains_key(reader));
        self.completions.extend(reader.map(Completion::Input));
    }
}

impl Backend for Within {
    fn name(&self) -> &'static str {
        "within"
    }
    fn choices(&self) -> &Choices {
        &self.choices
    }
    fn waker(&self) -> Arc<dyn Wakeup> {
        self.bell.clone()
    }
    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        if self.completions.is_empty() {
            self.bell.sleep(wait.until.map(|until| until.since(self.now())));
        }
        self.due = self.completions.len();
        Ok(())
    }
    fn next(&mut self) -> Option<Completion> {
        self.due = self.due.checked_sub(1)?;
        self.completions.pop_front()
    }
    fn listen(&mut self, key: Key, address: &Address, _: &ListenOptions) -> io::Result<Address> {
        self.listener = Some((key, address.clone()));
        Ok(address.clone())
    }
    fn connect(&mut self, key: Key, _: &Address, _: &ConnectOptions) -> io::Result<()> {
        let &(listener, _) = self.listener.as_ref().ok_or(ErrorKind::ConnectionRefused)?;
        let wire = |reader| Rc::new(RefCell::new(Wire(VecDeque::new(), false, reader)));
        let (to, from) = (wire(None), wire(Some(key)));
        self.waiting.push_back([Rc::clone(&to), Rc::clone(&from)]);
        self.ends.insert(key, [from, to]);
        self.completions.extend([Completion::Connected(key, Ok(())), Completion::Input(listener)]);
        Ok(())
    }
    fn accept(&mut self, _: Key, key: Key) -> Accepted {
        let Some(end) = self.waiting.pop_front() else { return Accepted::Dry };
        end[0].borrow_mut().2 = Some(key);
        self.ends.insert(key, end);
        self.completions.push_back(Completion::Input(key)); // The peer may have been faster.
        self.addresses(key).map_or_else(Accepted::Failed, Accepted::Connection)
    }
    fn addresses(&mut self, _: Key) -> io::Result<Addresses> {
        let (_, local) = self.listener.clone().ok_or(ErrorKind::NotConnected)?;
        Ok(Addresses { peer: local.clone(), local })
    }
    fn receive(&mut self, key: Key, _: Option<&mut [u8]>) -> Received {
        let Some([wire, _]) = self.ends.get(&key) else { return Received::Dry };
        let bytes = std::mem::take(&mut wire.borrow_mut().0);
        let nothing = if wire.borrow().1 { Received::Eof } else { Received::Dry };
        if bytes.is_empty() { nothing } else { Received::Chunk(Vec::from(bytes).into()) }
    }
    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        self.write(key, |wire| wire.0.extend(outgoing.front()));
        Started::Done(Sent { result: Ok(outgoing.front().len()), outgoing })
    }
    fn expedite(&mut self, _: Key) {} // Every send is answered at once.
    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.write(key, |wire| wire.1 = true);
        Started::Done(Ok(()))
    }
    fn close(&mut self, key: Key, _: Close) -> Started<()> {
        self.write(key, |wire| wire.1 = true);
        self.ends.remove(&key);
        self.listener.take_if(|(listener, _)| *listener == key);
        self.completions.retain(|one| !matches!(one, Completion::Input(other) if *other == key));
        Started::Done(())
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::with_backend(Within::default())?;
    let handle = reactor.handle();
    let echo = |transport: &Transport, data: &[u8]| transport.write(data);
    let heard = |_: &Transport, data: &[u8]| println!("{} came back", String::from_utf8_lossy(data));
    handle.listen("tcp://127.0.0.1:1", move |_: &Addresses| echo)?;
    let done = |made: Result<Transport, _>| drop(made.map(|transport| transport.write("hello")));
    handle.connect("tcp://127.0.0.1:1", move |_: &Addresses| heard, done);
    let (ends, soon) = (handle.clone(), Duration::from_millis(20));
    handle.call_later(soon, move || ends.shutdown());
    Ok(reactor.run()?)
}
