//! A: a small program of many tasks under many seeds. Every byte of it is checked.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures::io::AsyncReadExt;
use marline_reactor::testing::{Chunking, Clock, MemoryReactor, Network};
use marline_reactor::{Address, Choice, ChoiceKind, Choices};
use marline_tasks::{
    GatherError, Listener, ReadHalf, Stream, gather, select, settle, sleep, spawn, timeout, yield_now,
};

const SEEDS: u64 = 64;
const CLIENTS: usize = 4;
const FRAMES: usize = 12;

/// What chance decides in the program itself, apart from the network's choices.
#[derive(Clone)]
struct Dice(Choices);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        self.0.choose(ChoiceKind::Event, sides)
    }

    fn frame(&self) -> Vec<u8> {
        let size = match self.roll(4) {
            0 => self.roll(2),
            1 => self.roll(100),
            2 => self.roll(5_000),
            _ => 10_000 + self.roll(30_000),
        };
        let first = self.roll(256);
        (0..size).map(|index| ((first + index * 7) % 256) as u8).collect()
    }

    /// Does nothing, for a while.
    async fn dawdle(&self) {
        match self.roll(4) {
            0 => yield_now().await,
            1 => sleep(Duration::from_micros(self.roll(50) as u64)).await,
            _ => {}
        }
    }
}

/// What the server answers.
fn answer(frame: &[u8]) -> Vec<u8> {
    frame.iter().rev().map(|byte| byte ^ 0x5A).collect()
}

async fn serve(listener: Listener, dice: Dice) -> io::Result<()> {
    loop {
        let stream = select! {
            stream = listener.accept() => stream?,
            () = sleep(Duration::from_micros(20)) => continue,
        };
        let dice = dice.clone();
        spawn(async move { converse(stream, &dice).await.expect("a conversation in good order") });
    }
}

/// Answers each frame, by way of the stream's own methods.
async fn converse(stream: Stream, dice: &Dice) -> io::Result<()> {
    let mut unread = Vec::new();
    let mut part = vec![0; 4_000];
    loop {
        if let Some(frame) = take_frame(&mut unread) {
            let (size, body) = ((frame.len() as u32).to_le_bytes(), answer(&frame));
            stream.write_all(&size).await?;
            for piece in body.chunks(1 + dice.roll(30_000)) {
                stream.write_all(piece).await?;
                dice.dawdle().await;
            }
            continue;
        }
        let room = 1 + dice.roll(part.len());
        let count = match timeout(Duration::from_micros(30), stream.read(&mut part[..room])).await {
            Ok(count) => count?,
            Err(_) => continue,
        };
        if count == 0 {
            assert!(unread.is_empty(), "the end in the middle of a frame");
            return stream.close().await;
        }
        unread.extend_from_slice(&part[..count]);
    }
}

fn take_frame(unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(*unread.first_chunk()?) as usize;
    if unread.len() < 4 + size {
        return None;
    }
    let rest = unread.split_off(4 + size);
    let frame = std::mem::replace(unread, rest);
    Some(frame[4..].to_vec())
}

/// Sends frames with one half, and checks the answers to them with the other, at the same time.
async fn talk(address: Address, dice: Dice) -> io::Result<usize> {
    let (mut reading, writing) = Stream::connect(address).await.map_err(io::Error::other)?.into_split();
    let frames: Vec<_> = (0..FRAMES).map(|_| dice.frame()).collect();
    let sending = async {
        for frame in &frames {
            writing.write_all(&(frame.len() as u32).to_le_bytes()).await?;
            dice.dawdle().await;
            for piece in frame.chunks(1 + dice.roll(40_000)) {
                writing.write_all(piece).await?;
            }
            if dice.roll(3) == 0 {
                writing.flush().await?;
            }
        }
        writing.close().await
    };
    let checking = async {
        let mut total = 0;
        for frame in &frames {
            let heard = read_frame(&mut reading).await?;
            assert!(heard == answer(frame), "another answer of {} bytes", heard.len());
            total += heard.len();
            dice.dawdle().await;
        }
        assert_eq!(reading.read(&mut [0; 8]).await?, 0, "the end comes after the last answer");
        Ok(total)
    };
    let ((), total) = gather!(sending, checking).await.map_err(GatherError::into_error)?;
    Ok(total)
}

async fn read_frame(reading: &mut ReadHalf) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    reading.read_exact(&mut size).await?;
    let mut body = vec![0; u32::from_le_bytes(size) as usize];
    reading.read_exact(&mut body).await?;
    Ok(body)
}

/// Runs the program once: what was transferred, and every choice that was taken.
fn run(seed: u64) -> (Vec<usize>, Vec<Choice>) {
    let choices = Choices::seeded(seed).recorded();
    let (network, dice) = (Network::new(choices.clone()), Dice(choices.clone()));
    network.set_chunking(Chunking::Chosen);
    network.set_capacity([500, 20_000, 64 * 1024][dice.roll(3)]);
    let memory = MemoryReactor::on(&network, &Clock::new());
    let handle = memory.handle();
    let outcome = Rc::new(RefCell::new(Vec::new()));
    let (result, stopper) = (Rc::clone(&outcome), handle.clone());
    drop(marline_tasks::spawn_on(&handle, async move {
        let listener = Listener::bind("tcp://127.0.0.1:0").expect("a listener");
        let address = listener.local_address().expect("an address");
        let server = spawn(serve(listener, dice.clone()));
        let clients = gather((0..CLIENTS).map(|_| talk(address.clone(), dice.clone())));
        *result.borrow_mut() = clients.await.expect("conversations in good order");
        server.abort();
        let _ = server.await;
        settle([sleep(Duration::from_secs(1))]).await;
        stopper.stop();
    }));
    memory.run().expect("a run");
    assert_eq!((network.sockets(), handle.stats().connections), (0, 0), "everything is closed");
    assert_eq!(handle.enter(marline_tasks::task_stats).live, 0, "every task has ended");
    let transferred = outcome.take();
    (transferred, choices.log())
}

#[test]
fn a13_a23_a24_frames_arrive_whole_and_in_order_under_every_seed() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let (transferred, _) = run(seed);
        assert_eq!(transferred.len(), CLIENTS, "the program ended early");
    }
}

#[test]
fn a12_a_seed_repeats_the_whole_run() {
    for seed in [1, 7, 42] {
        let (first, second) = (run(seed), run(seed));
        assert!(first == second, "seed {seed}");
        assert!(first.1.iter().any(|choice| choice.kind == ChoiceKind::Fairness));
    }
}
