//! A backend of one's own in a page: connections that never leave the process, with an echo server, a client and a timer.
//!
//! `cargo run --example own_backend`. It says what came back over a connection that no kernel knows of. What the
//! operations have to do is told in `marline::backend`; those that are not here have defaults.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use marline::backend::*;
use marline::prelude::*;
use marline::{Address, Choices, Key, Reactor};

/// One direction: what was sent and not received, whether more may come, and who has to be told.
#[derive(Default)]
struct Wire(VecDeque<u8>, bool, Option<Key>);

/// What an end reads from, and what it writes to.
type End = [Rc<RefCell<Wire>>; 2];

#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Wakeup for Bell {
    fn wake(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }
}

struct Within {
    start: std::time::Instant,
    choices: Choices,
    bell: Arc<Bell>,
    listeners: BTreeMap<SocketAddr, (Key, VecDeque<End>)>,
    ends: BTreeMap<Key, End>,
    completions: VecDeque<Completion>,
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

#[rustfmt::skip]
impl Backend for Within {
    fn name(&self) -> &'static str { "within" }
    fn now(&self) -> Instant { Instant::ZERO + self.start.elapsed() }
    fn choices(&self) -> &Choices { &self.choices }
    fn waker(&self) -> Arc<dyn Wakeup> { self.bell.clone() }
    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let left = wait.until.map_or(Duration::MAX, |until| until.since(self.now()));
        let mut rung = self.bell.0.lock().unwrap();
        if !*rung && self.completions.is_empty() {
            rung = self.bell.1.wait_timeout(rung, left).unwrap().0;
        }
        *rung = false;
        Ok(())
    }
    fn next(&mut self) -> Option<Completion> { self.completions.pop_front() }
    fn has_events(&self) -> bool { !self.completions.is_empty() }
    fn listen(&mut self, key: Key, address: &Address, _: &ListenOptions) -> io::Result<Address> {
        let at = address.as_inet().ok_or(ErrorKind::Unsupported)?;
        if self.listeners.contains_key(&at) { return Err(ErrorKind::AddrInUse.into()); }
        self.listeners.insert(at, (key, VecDeque::new()));
        Ok(address.clone())
    }
    fn connect(&mut self, key: Key, address: &Address, _: &ConnectOptions) -> io::Result<()> {
        let there = address.as_inet().and_then(|at| self.listeners.get_mut(&at));
        let (listener, waiting) = there.ok_or(ErrorKind::ConnectionRefused)?;
        let [to, from] = [None, Some(key)].map(|reader| Rc::new(RefCell::new(Wire(VecDeque::new(), true, reader))));
        waiting.push_back([Rc::clone(&to), Rc::clone(&from)]);
        self.ends.insert(key, [from, to]);
        self.completions.extend([Completion::Connected(key, Ok(())), Completion::Input(*listener)]);
        Ok(())
    }
    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        let queue = self.listeners.values_mut().find(|(other, _)| *other == listener);
        let Some(end) = queue.and_then(|(_, waiting)| waiting.pop_front()) else { return Accepted::Dry };
        end[0].borrow_mut().2 = Some(key);
        self.completions.push_back(Completion::Input(key));
        self.ends.insert(key, end);
        self.addresses(key).map_or_else(Accepted::Failed, Accepted::Connection)
    }
    fn addresses(&mut self, _: Key) -> io::Result<Addresses> {
        let nowhere = Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        Ok(Addresses { local: nowhere.clone(), peer: nowhere })
    }
    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        let Some([wire, _]) = self.ends.get(&key) else { return Received::Failed(ErrorKind::NotConnected.into()) };
        let mut wire = wire.borrow_mut();
        match into {
            _ if wire.0.is_empty() => if wire.1 { Received::Dry } else { Received::Eof },
            Some(memory) => wire.0.read(memory).map_or_else(Received::Failed, Received::Filled),
            None => Received::Chunk(Chunk::from(Vec::from(std::mem::take(&mut wire.0)))),
        }
    }
    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        let count = outgoing.front().len();
        self.write(key, |wire| wire.0.extend(outgoing.front()));
        Started::Done(Sent { outgoing, result: Ok(count) })
    }
    fn expedite(&mut self, _: Key) {} // Every send is answered at once.
    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.write(key, |wire| wire.1 = false);
        Started::Done(Ok(()))
    }
    fn close(&mut self, key: Key, _: Close) -> Started<()> {
        self.write(key, |wire| wire.1 = false);
        self.ends.remove(&key);
        self.listeners.retain(|_, (listener, _)| *listener != key);
        self.completions.retain(|one| !matches!(one, Completion::Input(other) if *other == key));
        Started::Done(())
    }
}

fn main() -> Result<()> {
    let (start, choices) = (std::time::Instant::now(), Choices::random());
    let (listeners, ends) = (BTreeMap::new(), BTreeMap::new());
    let backend =
        Within { start, choices, bell: Arc::default(), listeners, ends, completions: VecDeque::new() };
    let reactor = Reactor::with_backend(backend)?;
    let handle = reactor.handle();
    let echo = |transport: &Transport, data: &[u8]| transport.write(data);
    handle.listen("tcp://127.0.0.1:1", move |_: &Addresses| echo)?;
    let client = |transport: &Transport, data: &[u8]| {
        println!("{} came back", String::from_utf8_lossy(data));
        transport.close();
    };
    handle.connect(
        "tcp://127.0.0.1:1",
        move |_: &Addresses| client,
        |made| {
            if let Ok(transport) = made {
                transport
                    .handle()
                    .clone()
                    .call_later(Duration::from_millis(5), move || _ = transport.write(b"hello"));
            }
        },
    );
    let ends = handle.clone();
    handle.call_later(Duration::from_millis(50), move || ends.shutdown());
    Ok(reactor.run()?)
}
