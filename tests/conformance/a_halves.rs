//! A: streams in two halves, as buffered readers, and copied.

use std::cell::{Cell, RefCell};

use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use marline_tasks::{ReadHalf, Stream, WriteHalf, copy, gather};

use crate::support::{Raw, World, pattern};
use crate::{conformance, streams};

streams! {
    fn a23_a24_halves_carry_both_directions_at_once(world: &World) {
        let (one, two) = world.streams();
        let (there, back) = (world.payload(), world.payload().into_iter().rev().collect::<Vec<_>>());
        let mut tasks = Vec::new();
        for (stream, sent, expected) in [(one, there.clone(), back.clone()), (two, back, there)] {
            let (reading, writing) = stream.into_split();
            tasks.push(world.spawn(read_all(reading, expected)));
            tasks.push(world.spawn(write_all(writing, sent)));
        }
        for task in tasks {
            assert!(world.join(task));
        }
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a24_copying_a_stream_onto_itself_is_an_echo(world: &World) {
        let (stream, raw) = world.stream();
        let task = world.spawn(async move { copy(&stream, &stream).await });
        let payload = world.payload();
        let (sent, heard) = (Cell::new(0), RefCell::new(Vec::new()));
        world.until(|| {
            sent.set(sent.get() + raw.write(&payload[sent.get()..]));
            heard.borrow_mut().extend(raw.read());
            heard.borrow().len() == payload.len()
        });
        assert!(*heard.borrow() == payload && !raw.is_finished());
        raw.finish();
        assert_eq!(world.join(task).expect("a count"), payload.len() as u64);
        world.until(|| raw.read().is_empty() && raw.is_finished());
    }

    fn a24_lines_and_bytes_can_be_read_in_turn(world: &World) {
        let (mut stream, raw) = world.stream();
        let block = pattern(world.payload().len() / 4);
        let expected = block.clone();
        let task = world.spawn(async move {
            for round in 0..3 {
                let mut line = String::new();
                stream.read_line(&mut line).await.expect("a line");
                assert_eq!(line, format!("line {round}\n"));
                // Plain reads go on where the buffered ones stopped, and the other way round.
                let (mut bytes, mut part) = (Vec::new(), vec![0; 900]);
                while bytes.len() < expected.len() {
                    let room = part.len().min(expected.len() - bytes.len());
                    let count = stream.read(&mut part[..room]).await.expect("bytes");
                    bytes.extend_from_slice(&part[..count]);
                }
                assert!(bytes == expected);
                let mut field = Vec::new();
                stream.read_until(b';', &mut field).await.expect("a field");
                assert_eq!(field, b"field;");
            }
            let (reading, _writing) = stream.into_split();
            let mut lines = reading.lines();
            let mut rest = Vec::new();
            while let Some(line) = futures::StreamExt::next(&mut lines).await {
                rest.push(line.expect("a line"));
            }
            rest
        });
        let mut message = Vec::new();
        for round in 0..3 {
            message.extend(format!("line {round}\n").into_bytes());
            message.extend(&block);
            message.extend(b"field;");
        }
        message.extend(b"one\ntwo\n\nthree");
        let sent = Cell::new(0);
        world.until(|| {
            sent.set(sent.get() + raw.write(&message[sent.get()..]));
            sent.get() == message.len()
        });
        raw.finish();
        assert_eq!(world.join(task), ["one", "two", "", "three"]);
    }
}

conformance! {
    fn a24_dropping_the_writing_half_ends_our_direction(world: &World) {
        let (stream, raw) = world.stream();
        let (mut reading, writing) = stream.into_split();
        let task = world.spawn(async move {
            writing.write_all(b"the last words").await.expect("a write");
            drop(writing);
            let mut heard = [0; 6];
            reading.read_exact(&mut heard).await.expect("bytes");
            (heard, reading)
        });
        let heard = hear_the_end(world, &raw);
        assert_eq!(heard, b"the last words");
        assert!(!task.is_finished() && !raw.is_reset());
        raw.write(b"answer");
        let (heard, reading) = world.join(task);
        assert_eq!(&heard, b"answer");
        drop(reading);
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a24_dropping_the_reading_half_leaves_the_writing_half(world: &World) {
        let (stream, raw) = world.stream();
        let (reading, writing) = stream.into_split();
        drop(reading);
        let task = world.spawn(async move {
            writing.write_all(b"still here").await.expect("a write");
            writing.flush().await.expect("a flush");
            writing
        });
        let writing = world.join(task);
        let heard = RefCell::new(Vec::new());
        world.until(|| {
            heard.borrow_mut().extend(raw.read());
            heard.borrow().len() == 10
        });
        world.settle();
        assert!(!raw.is_finished() && !raw.is_reset());
        drop(writing);
        world.until(|| raw.is_finished());
        raw.close();
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a24_a_half_that_waits_sees_the_end_that_the_other_half_makes(world: &World) {
        let (stream, raw) = world.stream();
        let (reading, writing) = stream.into_split();
        let read = world.spawn(async move { reading.read(&mut [0; 8]).await });
        world.settle();
        world.finish(async move { writing.close().await }).expect("a close");
        world.until(|| raw.is_finished());
        assert!(!read.is_finished());
        raw.close();
        assert_eq!(world.join(read).expect("the end"), 0);
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a24_a_broken_connection_is_an_error_for_both_halves(world: &World) {
        let (stream, raw) = world.stream();
        let (reading, writing) = stream.into_split();
        let read = world.spawn(async move { reading.read(&mut [0; 8]).await });
        world.settle();
        raw.reset();
        assert!(world.join(read).is_err());
        let wrote = world.finish(async move { writing.write_all(b"too late").await });
        assert!(wrote.is_err());
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a23_two_operations_of_one_connection_in_one_task(world: &World) {
        let (one, two) = world.streams();
        // Too much for any buffer.
        let total = if world.is_memory() { 300 * 1024 } else { 16 * 1024 * 1024 };
        let before = world.handle().enter(marline_tasks::task_stats).spawned;
        let talk = |stream: Stream| async move {
            let (bytes, mut heard) = (pattern(total), vec![0; total]);
            // A read and a write of each side wait at the same time.
            let reading = async {
                let mut filled = 0;
                while filled < total {
                    filled += stream.read(&mut heard[filled..]).await?;
                }
                Ok::<_, std::io::Error>(())
            };
            gather!(stream.write_all(&bytes), reading).await.expect("both");
            heard == bytes
        };
        let (first, second) = (talk(one), talk(two));
        let both = world.finish(async move { gather!(async { Ok::<_, ()>(first.await) }, async { Ok(second.await) }).await });
        assert_eq!(both.expect("both"), (true, true));
        assert_eq!(world.handle().enter(marline_tasks::task_stats).spawned, before + 1);
    }
}

async fn read_all(mut reading: ReadHalf, expected: Vec<u8>) -> bool {
    let mut all = Vec::new();
    reading.read_to_end(&mut all).await.expect("all of it");
    all == expected
}

async fn write_all(mut writing: WriteHalf, bytes: Vec<u8>) -> bool {
    for piece in bytes.chunks(30_001) {
        AsyncWriteExt::write_all(&mut writing, piece).await.expect("a write");
    }
    AsyncWriteExt::close(&mut writing).await.is_ok()
}

/// Everything that the far end hears, up to the end.
fn hear_the_end(world: &World, raw: &Raw) -> Vec<u8> {
    let heard = RefCell::new(Vec::new());
    world.until(|| {
        heard.borrow_mut().extend(raw.read());
        raw.is_finished()
    });
    heard.take()
}
