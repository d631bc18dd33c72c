//! W, R: several connections at once, whose protocols do to themselves and to each other what chance has them do, against the trivial
//! model: all bytes, in order, and each of them sent or unsent.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Handle, Lost, OnEof, Protocol, Transport, WriteStatus};

use crate::streams;
use crate::support::{Dice, Place, Raw, World, bump, pattern, seeds};

const PLAYERS: usize = 9;
/// More than the system keeps for a far end that reads nothing for a while.
const MOST: usize = 600_000;

struct Game {
    dice: Dice,
    players: Vec<Player>,
    /// How much each of them sends, and is sent: the same bytes, which begin at another place for each.
    len: usize,
    payload: Vec<u8>,
    handle: Handle,
    rare: Rare,
}

/// What should not only happen in theory.
#[derive(Default, Debug)]
struct Rare {
    errands: Cell<usize>,
    own_memory: Cell<usize>,
    given_back: Cell<usize>,
    pauses: Cell<usize>,
    to_others: Cell<usize>,
    full: Cell<usize>,
    early: Cell<usize>,
}

#[derive(Default)]
struct Player {
    transport: RefCell<Option<Transport>>,
    written: Cell<usize>,
    received: Cell<usize>,
    is_full: Cell<bool>,
    /// The peer has ended its direction.
    is_told: Cell<bool>,
    /// It is no good end.
    is_early: Cell<bool>,
    lost: RefCell<Option<(Lost, u64)>>,
}

impl Game {
    fn new(world: &World, seed: u64) -> Rc<Self> {
        let len = world.payload().len().min(MOST);
        Rc::new(Self {
            dice: Dice::of(world, seed),
            players: (0..PLAYERS).map(|_| Player::default()).collect(),
            len,
            payload: pattern(len + PLAYERS),
            handle: world.handle(),
            rare: Rare::default(),
        })
    }

    /// What this one sends, and is sent.
    fn stream(&self, number: usize) -> &[u8] {
        &self.payload[number..][..self.len]
    }

    fn take_in(&self, number: usize, bytes: &[u8]) {
        let received = &self.players[number].received;
        let end = received.get() + bytes.len();
        assert!(
            self.stream(number).get(received.get()..end) == Some(bytes),
            "{number} gets what was not sent next"
        );
        received.set(end);
    }

    /// How long a piece is: of all the sizes that are dealt with in their own way.
    fn some_len(&self) -> usize {
        let dice = &self.dice;
        match dice.below(12) {
            0 | 1 => 1,
            2..=4 => 1 + dice.below(64),
            5 | 6 => 1 + dice.below(600),
            7..=9 => 1 + dice.below(2100),
            10 => 2048,
            _ => 1 + dice.below(self.len / 6),
        }
    }

    /// A few acts, on this one mostly.
    fn act(self: &Rc<Self>, number: usize) {
        for _ in 0..self.dice.below(5) {
            let is_other = self.dice.one_in(4);
            let whose = if is_other { self.dice.below(PLAYERS) } else { number };
            let transport = self.players[whose].transport.borrow().clone();
            if let Some(transport) = transport.filter(|transport| !transport.is_closing()) {
                if is_other {
                    bump(&self.rare.to_others);
                }
                self.act_on(whose, &transport);
            }
        }
    }

    fn act_on(self: &Rc<Self>, number: usize, transport: &Transport) {
        let game = Rc::clone(self);
        match self.dice.below(20) {
            0..=10 => self.write(number, transport),
            11 | 12 => transport.flush(),
            13 => self.pause(transport),
            14 => transport.notify_drained(),
            15 => drop(self.handle.call_soon(move || game.act(number))),
            16 => {
                let delay = Duration::from_micros(self.dice.below(900) as u64);
                drop(self.handle.call_later(delay, move || game.act(number)));
            }
            17 => transport.notify_readable(),
            18 => assert!(transport.buffered() <= self.players[number].written.get()),
            _ if self.dice.one_in(40) => self.end_early(number, transport),
            _ => {}
        }
    }

    fn write(&self, number: usize, transport: &Transport) {
        let player = &self.players[number];
        if player.is_full.get() && !self.dice.one_in(8) {
            return;
        }
        let left = &self.stream(number)[player.written.get()..];
        let bytes = &left[..left.len().min(self.some_len())];
        let (first, second) = bytes.split_at(self.dice.below(bytes.len()));
        let accepted = |status: WriteStatus| if status.is_accepted() { bytes.len() } else { 0 };
        let written = match self.dice.below(8) {
            0 => accepted(transport.write_owned(bytes.to_vec())),
            1 => accepted(transport.write_vectored(&[first, second].map(IoSlice::new))),
            2 => transport.try_write(bytes).map_or(0, accepted),
            3 => transport.try_send(bytes),
            _ => {
                assert!(transport.write(bytes).is_accepted());
                bytes.len()
            }
        };
        player.written.set(player.written.get() + written);
    }

    /// It goes on reading in one of the next turns.
    fn pause(&self, transport: &Transport) {
        bump(&self.rare.pauses);
        transport.pause_reading();
        let (handle, transport) = (self.handle.clone(), transport.clone());
        let later = self.dice.one_in(2);
        self.handle.call_soon(move || match later {
            true => drop(handle.call_soon(move || transport.resume_reading())),
            false => transport.resume_reading(),
        });
    }

    fn end_early(&self, number: usize, transport: &Transport) {
        bump(&self.rare.early);
        self.players[number].is_early.set(true);
        match self.dice.below(3) {
            0 => transport.abort(),
            1 => transport.fail("it has had enough"),
            _ => transport.close(),
        }
    }

    /// The rest of what there is to write, and the end.
    fn end(&self, number: usize, transport: &Transport) {
        let player = &self.players[number];
        let rest = &self.stream(number)[player.written.get()..];
        if !rest.is_empty() {
            assert!(transport.write(rest).is_accepted());
        }
        player.written.set(self.len);
        transport.close();
    }

    /// Takes a few pieces of what is there, as a call that its protocol has named.
    fn take_pieces(self: &Rc<Self>, number: usize) {
        bump(&self.rare.errands);
        let Some(transport) = self.players[number].transport.borrow().clone() else { return };
        for _ in 0..=self.dice.below(3) {
            let mut memory = vec![0; self.some_len()];
            let Some(taken) = transport.try_receive(&mut memory) else { break };
            self.take_in(number, &memory[..taken.count]);
            self.act(number);
            if !taken.more {
                break;
            }
        }
        match self.dice.one_in(4) {
            true => self.pause(&transport),
            false => transport.resume_reading(),
        }
    }
}

struct Protagonist {
    game: Rc<Game>,
    number: usize,
    memory: Vec<u8>,
}

impl Protagonist {
    fn player(&self) -> &Player {
        &self.game.players[self.number]
    }

    fn received(&self, transport: &Transport) {
        self.game.act(self.number);
        if self.game.dice.one_in(600) && !transport.is_closing() {
            bump(&self.game.rare.early);
            self.player().is_early.set(true);
            panic!("as chance has it");
        }
    }
}

impl Protocol for Protagonist {
    fn connection_made(&mut self, transport: &Transport) {
        self.player().transport.replace(Some(transport.clone()));
        self.game.act(self.number);
    }

    fn readable(&mut self, _: &Transport) -> bool {
        let (game, number) = (Rc::clone(&self.game), self.number);
        let dice = &self.game.dice;
        let takes = !dice.one_in(3);
        if takes && dice.one_in(4) {
            self.game.handle.call_soon(move || game.take_pieces(number));
        } else if takes {
            self.game.handle.call_next(move || game.take_pieces(number));
        }
        if dice.one_in(4) {
            self.game.act(self.number);
        }
        takes
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        if !self.game.dice.one_in(4) {
            return None;
        }
        bump(&self.game.rare.own_memory);
        self.memory.resize(self.game.some_len(), 0);
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        assert!(transport.is_reading(), "bytes in spite of a pause");
        self.game.take_in(self.number, &self.memory[..count]);
        self.received(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        assert!(transport.is_reading(), "bytes in spite of a pause");
        let mut used = data.len();
        if self.game.dice.one_in(8) {
            bump(&self.game.rare.given_back);
            used -= self.game.dice.below(data.len());
            transport.unread(&data[used..]);
        }
        self.game.take_in(self.number, &data[..used]);
        self.received(transport);
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        assert!(!self.player().is_told.replace(true), "told of the end once");
        assert_eq!(self.player().received.get(), self.game.len, "the end comes behind all bytes");
        self.game.end(self.number, transport);
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, _: &Transport) {
        assert!(!self.player().is_full.replace(true), "pause and resume alternate");
        bump(&self.game.rare.full);
    }

    fn resume_writing(&mut self, _: &Transport) {
        assert!(self.player().is_full.replace(false), "pause and resume alternate");
        self.game.act(self.number);
    }

    fn drained(&mut self, _: &Transport) {
        self.game.act(self.number);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let told = (lost.clone(), transport.traffic().sent);
        assert!(self.player().lost.replace(Some(told)).is_none(), "lost once");
    }
}

/// The far end of one.
struct FarEnd {
    raw: Raw,
    poured: Cell<usize>,
    heard: Cell<usize>,
    /// So many times it takes nothing.
    asleep: Cell<usize>,
}

impl FarEnd {
    fn new(raw: Raw) -> Self {
        Self { raw, poured: Cell::default(), heard: Cell::default(), asleep: Cell::default() }
    }

    /// Sends and takes some.
    fn play(&self, game: &Game, number: usize) {
        let stream = game.stream(number);
        let end = stream.len().min(self.poured.get() + game.some_len());
        if self.poured.get() < stream.len() {
            self.poured.set(self.poured.get() + self.raw.write(&stream[self.poured.get()..end]));
            if self.poured.get() == stream.len() {
                self.raw.finish();
            }
        }
        match self.asleep.get().checked_sub(1) {
            Some(left) => return self.asleep.set(left),
            None if game.dice.one_in(60) => self.asleep.set(game.dice.below(200)),
            None => {}
        }
        let bytes = self.raw.read_up_to(game.some_len());
        let end = self.heard.get() + bytes.len();
        assert!(
            stream.get(self.heard.get()..end) == Some(&bytes[..]),
            "{number} has sent what was not written next"
        );
        self.heard.set(end);
    }

    /// A bad end is looked at afterwards.
    fn is_over(&self, player: &Player) -> bool {
        match &*player.lost.borrow() {
            Some((lost, _)) => !lost.is_clean() || player.is_early.get() || self.raw.is_finished(),
            None => false,
        }
    }
}

fn play(world: &World, seed: u64) -> Rc<Game> {
    let game = Game::new(world, seed);
    let (playing, next) = (Rc::clone(&game), Cell::new(0));
    let server = world.listen(move |_| {
        let number = next.replace(next.get() + 1);
        Protagonist { game: Rc::clone(&playing), number, memory: Vec::new() }
    });
    // One after the other, so that it is known which is whose.
    let ends: Vec<_> = (0..PLAYERS)
        .map(|number| {
            let raw = world.connect_raw(&server);
            world.until(|| game.players[number].transport.borrow().is_some());
            FarEnd::new(raw)
        })
        .collect();
    let all = || ends.iter().zip(&game.players);
    world.until(|| {
        ends.iter().enumerate().for_each(|(number, end)| end.play(&game, number));
        // What they have not read yet must not pass for the end of everything.
        game.handle.call_soon(|| {});
        all().all(|(end, player)| end.is_over(player))
    });
    for (end, player) in all() {
        let (written, heard) = (player.written.get(), end.heard.get());
        let (lost, sent) = player.lost.take().expect("it was lost");
        assert_eq!(sent + lost.unsent() as u64, written as u64, "{lost}");
        if !player.is_early.get() {
            assert!(lost.is_clean() && player.is_told.get(), "{lost}");
            assert_eq!((written, heard, player.received.get()), (game.len, game.len, game.len));
        } else {
            assert!(heard <= written && player.received.get() <= end.poured.get(), "{lost}");
        }
        // It holds the game.
        player.transport.take();
    }
    game
}

streams! {
    fn w01_r01_w23_whatever_many_do_to_each_other_all_bytes_come_in_order(world: &World) {
        let seeds = if world.is_seeded() { 0..1 } else { seeds(if world.is_secure() { 1 } else { 16 }) };
        let games: Vec<_> = seeds.map(|seed| {
            println!("seed {seed}");
            play(world, seed)
        }).collect();
        for game in &games {
            println!("{:?}", game.rare);
        }
        let rare: [fn(&Rare) -> &Cell<usize>; 5] = [
            |rare| &rare.own_memory, |rare| &rare.given_back, |rare| &rare.pauses, |rare| &rare.to_others,
            |rare| &rare.errands,
        ];
        // Through filters no protocol takes its input itself.
        let some = if matches!(world.place(), Place::Filtered | Place::Tls) { &rare[..4] } else { &rare };
        for counter in some {
            assert!(games.iter().any(|game| counter(&game.rare).get() > 0), "it does not happen");
        }
    }
}
