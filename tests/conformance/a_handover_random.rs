//! A: a connection passes from style to style while bytes flow both ways, as chance has it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::thread;

use futures::AsyncBufRead;
use futures::executor::block_on;
use futures::future::poll_fn;
use marline_reactor::{Handle, Lost, OnEof, Protocol, Transport};
use marline_tasks::{ReadHalf, Stream, WriteHalf, spawn};

use crate::streams;
use crate::support::{Dice, World, bump};

/// What all the holders of the one connection share.
struct Game {
    dice: Dice,
    payload: Vec<u8>,
    sent: Cell<usize>,
    received: RefCell<Vec<u8>>,
    protocols: Tally,
    streams: Cell<usize>,
    /// How often the program paused reading itself, how often one holder found it paused by another, and how often halves
    /// were on another thread.
    own_pauses: Cell<usize>,
    found_paused: Cell<usize>,
    voyages: Cell<usize>,
    handle: Handle,
}

/// How often callback protocols were told what.
#[derive(Default)]
struct Tally {
    created: Cell<usize>,
    made: Cell<usize>,
    lost: Cell<usize>,
    dropped: Cell<usize>,
    pauses: Cell<usize>,
}

impl Game {
    fn is_sent(&self) -> bool {
        self.sent.get() == self.payload.len()
    }

    /// The next bytes to send, as many as chance wants.
    fn next_piece(&self) -> &[u8] {
        let left = &self.payload[self.sent.get()..];
        let count = left.len().min(1 + self.dice.below(self.payload.len() / 10));
        self.sent.set(self.sent.get() + count);
        &left[..count]
    }

    fn take_in(&self, bytes: &[u8]) {
        self.received.borrow_mut().extend_from_slice(bytes);
    }

    /// A stream takes over.
    fn to_stream(self: &Rc<Self>, transport: &Transport, unread: &[u8]) {
        let stream = if unread.is_empty() {
            Stream::from_transport(transport)
        } else {
            Stream::from_transport_with(transport, unread)
        };
        bump(&self.streams);
        drop(spawn(hold(Rc::clone(self), stream.expect("a live connection"))));
    }

    /// A program's own pause, at times: whoever holds the connection next with callbacks finds it paused, too.
    fn pause_at_times(self: &Rc<Self>, transport: &Transport) {
        if self.dice.one_in(8) {
            bump(&self.own_pauses);
            transport.pause_reading();
            self.resume_soon(transport);
        }
    }

    /// Ends a pause. If a stream holds the connection by then, that reads a piece more than it asked for.
    fn resume_soon(self: &Rc<Self>, transport: &Transport) {
        let (paused, game) = (transport.clone(), Rc::clone(self));
        self.handle.call_soon(move || {
            game.handle.call_soon(move || paused.resume_reading());
        });
    }

    /// A callback protocol, to take over.
    fn callbacks(self: &Rc<Self>) -> Callbacks {
        bump(&self.protocols.created);
        Callbacks { game: Rc::clone(self), held: Vec::new(), paused: false, is_made: false, is_ended: false }
    }
}

/// One holder with callbacks. Like a parser it holds bytes back.
struct Callbacks {
    game: Rc<Game>,
    held: Vec<u8>,
    paused: bool,
    is_made: bool,
    is_ended: bool,
}

impl Callbacks {
    fn send(&self, transport: &Transport) {
        if !self.paused && !self.game.is_sent() {
            assert!(transport.write(self.game.next_piece()).is_accepted());
            transport.notify_drained();
        }
        if self.is_ended && self.game.is_sent() {
            transport.close();
        }
    }
}

impl Protocol for Callbacks {
    fn connection_made(&mut self, transport: &Transport) {
        assert!(!std::mem::replace(&mut self.is_made, true), "made once");
        bump(&self.game.protocols.made);
        self.send(transport);
        if !transport.is_reading() {
            bump(&self.game.found_paused);
            self.game.resume_soon(transport);
        }
        self.game.pause_at_times(transport);
        if self.game.dice.one_in(8) {
            self.game.to_stream(transport, b"");
        }
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        assert!(self.is_made && !self.is_ended);
        assert!(transport.is_reading(), "data in spite of a pause");
        let dice = &self.game.dice;
        let mut bytes = std::mem::take(&mut self.held);
        let (used, unread) = data.split_at(data.len() - dice.below(data.len()));
        bytes.extend_from_slice(used);
        self.held = bytes.split_off(bytes.len() - dice.below(bytes.len().min(9)));
        self.game.take_in(&bytes);
        match dice.below(4) {
            0 => self.game.to_stream(transport, unread),
            1 => {
                transport.unread(unread);
                self.game.to_stream(transport, b"");
            }
            _ => transport.unread(unread),
        }
        self.game.pause_at_times(transport);
        self.send(transport);
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        assert!(!std::mem::replace(&mut self.is_ended, true), "told of the end once");
        self.game.take_in(&std::mem::take(&mut self.held));
        if self.game.dice.one_in(2) {
            // Which is told of the end, too.
            self.game.to_stream(transport, b"");
        } else {
            self.send(transport);
        }
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, _: &Transport) {
        assert!(self.is_made && !std::mem::replace(&mut self.paused, true), "pause and resume alternate");
        bump(&self.game.protocols.pauses);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        assert!(std::mem::replace(&mut self.paused, false), "pause and resume alternate");
        self.send(transport);
    }

    fn drained(&mut self, transport: &Transport) {
        self.send(transport);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(lost.is_clean(), "{lost:?}");
        bump(&self.game.protocols.lost);
    }

    fn replaced(&mut self) -> Vec<u8> {
        assert!(self.is_made);
        std::mem::take(&mut self.held)
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        bump(&self.game.protocols.dropped);
    }
}

/// Has the halves on another thread for a while, which gets at nothing there.
fn abroad(reading: ReadHalf, writing: WriteHalf) -> (ReadHalf, WriteHalf) {
    let voyage = thread::spawn(move || {
        let mut buffer = [0; 8];
        assert!(
            block_on(reading.read(&mut buffer)).is_err()
                && block_on(writing.write_all(b"never sent")).is_err()
        );
        (reading, writing)
    });
    voyage.join().expect("a thread")
}

/// One holder with async code.
async fn hold(game: Rc<Game>, mut stream: Stream) {
    let mut is_ended = false;
    loop {
        match game.dice.below(5) {
            0 if !game.is_sent() => stream.write_all(game.next_piece()).await.expect("a write"),
            1 if !is_ended => {
                let mut buffer = vec![0; 1 + game.dice.below(game.payload.len() / 4)];
                let count = stream.read(&mut buffer).await.expect("bytes");
                game.take_in(&buffer[..count]);
                is_ended = count == 0;
            }
            // Some of what is lent out is never consumed, and goes to whoever is next.
            2 if !is_ended => {
                let lent =
                    poll_fn(|context| Pin::new(&mut stream).poll_fill_buf(context).map_ok(<[u8]>::to_vec));
                let lent = lent.await.expect("bytes");
                is_ended = lent.is_empty();
                let count = lent.len() - game.dice.below(lent.len());
                game.take_in(&lent[..count]);
                Pin::new(&mut stream).consume(count);
            }
            3 => {
                let (mut reading, mut writing) = stream.into_split();
                if game.dice.one_in(8) {
                    bump(&game.voyages);
                    (reading, writing) = abroad(reading, writing);
                }
                stream = reading.reunite(writing).expect("halves of one stream");
            }
            4 => break,
            _ => {}
        }
    }
    if game.dice.one_in(6) {
        let transport = stream.transport().expect("a live connection");
        if game.dice.one_in(2) {
            // The first is passed over, if no turn comes between the two.
            stream.into_protocol(game.callbacks()).expect("a live connection");
            stream = Stream::from_transport(&transport).expect("a live connection");
        }
    }
    stream.into_protocol(game.callbacks()).expect("a live connection");
}

streams! {
    fn a18_ownership_changes_while_bytes_flow_both_ways(world: &World) {
        let payload = world.payload();
        let game = Rc::new(Game {
            dice: Dice::of(world, 18),
            payload: payload.iter().rev().copied().collect(),
            sent: Cell::default(),
            received: RefCell::default(),
            protocols: Tally::default(),
            streams: Cell::default(),
            own_pauses: Cell::default(),
            found_paused: Cell::default(),
            voyages: Cell::default(),
            handle: world.handle(),
        });
        let (transport, raw) = world.accept_one(game.callbacks());
        transport.set_watermarks(payload.len() / 100, payload.len() / 50).expect("watermarks");
        if let Some(memory) = world.as_memory() {
            memory.network().set_capacity(1 + payload.len() / 50);
        }
        let (poured, heard) = (Cell::new(0), RefCell::new(Vec::new()));
        world.until(|| {
            let piece = payload.len().min(poured.get() + 1 + game.dice.below(payload.len() / 20));
            poured.set(poured.get() + raw.write(&payload[poured.get()..piece]));
            if poured.get() == payload.len() {
                raw.finish();
            }
            // The far end reads more slowly than we write, so that much waits to be sent.
            let limit = 1 + game.dice.below(payload.len() / 60);
            heard.borrow_mut().extend(raw.read_up_to(limit));
            // What it has not read yet must not pass for the end of everything.
            game.handle.call_soon(|| {});
            heard.borrow().len() == payload.len() && raw.is_finished()
        });
        raw.close();
        world.until(|| game.handle.stats().connections == 0);
        world.settle();
        assert!(*game.received.borrow() == payload, "bytes were lost, repeated or moved on their way in");
        assert!(*heard.borrow() == game.payload, "bytes were lost, repeated or moved on their way out");
        let tally = &game.protocols;
        println!(
            "{} protocols, {} made, {} streams, {} pauses, {} of the program's ({} inherited), {} voyages",
            tally.created.get(), tally.made.get(), game.streams.get(), tally.pauses.get(), game.own_pauses.get(),
            game.found_paused.get(), game.voyages.get()
        );
        assert_eq!(tally.lost.get(), 1, "only the last holder loses it");
        assert_eq!(tally.dropped.get(), tally.created.get());
        assert!(tally.made.get() <= tally.created.get() && tally.made.get() > 2 && game.streams.get() > 2);
        assert_eq!(world.handle().enter(marline_tasks::task_stats).live, 0);
    }
}
