//! M: frames in async code.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures::FutureExt;
use futures::future::{Either, select};
use marline_reactor::framing::{LineParser, NetstringError, NetstringParser, Prefix, PrefixParser};
use marline_tasks::{Framed, FramedError, Stream, yield_now};

use crate::support::{Framing, World, encoded, messages, pattern};
use crate::{conformance, streams};

/// Both ends are streams with the same framing: one sends, one reads.
fn there_and_across<F: Framing>(world: &World, make: fn() -> F) {
    let (client, server) = world.streams();
    let messages = messages(world);
    let expected = messages.clone();
    let sender = world.spawn(async move {
        let mut framed = Framed::new(&client, make());
        for message in &messages {
            framed.send(message).await.map_err(|error| error.to_string()).expect("a live connection");
        }
        framed.close().await.expect("a live connection");
    });
    let seen = world.finish(async move {
        let (mut framed, mut seen) = (Framed::new(&server, make()), Vec::new());
        while let Some(message) = framed.next().await {
            seen.push(message.expect("good messages").to_vec());
        }
        seen
    });
    world.join(sender);
    assert!(seen == expected, "the messages differ");
}

/// Reads while each read may lose against a task that is always ready.
fn races<F: Framing>(world: &World, make: fn() -> F) {
    let (stream, raw) = world.stream();
    let messages = messages(world);
    let (bytes, count) = (encoded(&make(), &messages), messages.len());
    let task = world.spawn(async move {
        let (mut framed, mut seen, mut lost) = (Framed::new(&stream, make()), Vec::new(), 0);
        while seen.len() < count {
            let read = pin!(framed.try_next());
            match select(read, pin!(yield_now())).await {
                Either::Left((frame, _)) => {
                    seen.push(frame.expect("good messages").expect("a message").to_vec());
                }
                Either::Right(_) => lost += 1,
            }
        }
        (seen, lost)
    });
    for piece in bytes.chunks(bytes.len() / 20 + 1) {
        world.write(&raw, piece);
        world.turn();
    }
    let (seen, lost) = world.join(task);
    assert!(seen == messages, "the messages differ");
    assert!(lost > 0, "no read was given up");
}

streams! {
    fn m01_any_split_gives_the_same_messages_in_async_code(world: &World) {
        there_and_across(world, LineParser::new);
        there_and_across(world, || PrefixParser::new(Prefix::U16));
        there_and_across(world, NetstringParser::new);
    }

    fn a13_a_frame_that_was_not_returned_is_returned_next_time(world: &World) {
        races(world, LineParser::new);
        races(world, || PrefixParser::new(Prefix::U32));
        races(world, NetstringParser::new);
    }
}

conformance! {
    fn m08_after_a_malformed_netstring_there_is_none(world: &World) {
        let (stream, raw) = world.stream();
        raw.write(b"1:a,1:b;1:c,");
        world.finish(async move {
            let mut strings = Framed::new(&stream, NetstringParser::new());
            assert_eq!(strings.try_next().await.expect("a string"), Some(&b"a"[..]));
            let error = strings.try_next().await.expect_err("a malformed string");
            assert!(matches!(error, FramedError::Frame(NetstringError::NoComma { found: b';' })));
            assert!(strings.next().await.is_none());
        });
        raw.close();
    }

    fn m09_leftover_bytes_come_out_with_the_parts(world: &World) {
        let (stream, raw) = world.stream();
        let payload = pattern(3000);
        world.write(&raw, &[b"go\n", &payload[..]].concat());
        raw.finish();
        let bytes = world.finish(async move {
            let mut lines = Framed::new(stream, LineParser::new());
            assert_eq!(lines.try_next().await.expect("a line"), Some(&b"go"[..]));
            let (stream, _, mut bytes) = lines.into_parts();
            let mut part = [0; 100];
            loop {
                match stream.read(&mut part).await.expect("bytes") {
                    0 => return bytes,
                    count => bytes.extend_from_slice(&part[..count]),
                }
            }
        });
        assert!(bytes == payload, "the bytes differ");
    }

    fn m_a_send_that_was_given_up_goes_out_whole_before_the_next(world: &World) {
        let (stream, raw) = world.stream();
        // More than fits on the way to a peer that does not read.
        let large = pattern(if world.is_memory() { 300 * 1024 } else { 16 * 1024 * 1024 });
        let length = large.len();
        let task = world.spawn(async move {
            let mut framed = Framed::new(stream, PrefixParser::new(Prefix::U32));
            {
                let mut send = pin!(framed.send(&large));
                let once = poll_fn(|context| Poll::Ready(send.as_mut().poll(context).is_pending())).await;
                assert!(once, "it does not fit");
            }
            framed.send(b"small").await.expect("a live connection");
            framed.close().await.expect("a live connection");
        });
        let bytes = world.read(&raw, length + 4 + 5 + 4);
        world.join(task);
        assert!(bytes[4..length + 4] == pattern(length) && bytes.ends_with(b"\0\0\0\x05small"), "the frames differ");
    }

    fn m_a_frame_that_nobody_asks_for_stops_the_peer(world: &World) {
        let (stream, raw) = world.stream();
        let receives = world.handle().stats().receives;
        let framed: Framed<&Stream, _> = Framed::new(&stream, LineParser::new());
        raw.write(b"line\n");
        world.settle();
        assert_eq!(world.handle().stats().receives, receives);
        drop(framed);
        let mut framed = Framed::new(&stream, LineParser::new());
        assert!(framed.try_next().now_or_never().is_none());
        drop(framed);
        let task = world.finish(async move {
            Framed::new(&stream, LineParser::new()).try_next().await.expect("a line").map(<[u8]>::to_vec)
        });
        assert_eq!(task.as_deref(), Some(&b"line"[..]));
    }
}
