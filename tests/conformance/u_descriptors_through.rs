//! U: descriptors that pass through what stands between a connection and a program: lines, policies, relays, streams.

use std::os::fd::OwnedFd;
use std::time::Duration;

use marline_reactor::framing::{LineProtocol, Lines};
use marline_reactor::policy::{IdleTimeout, RateLimit, TotalTimeout};
use marline_reactor::{SendDescriptorError, Transport, relay};
use marline_tasks::{Framed, Listener, Stream, UntakenDescriptors};

use crate::conformance;
use crate::support::passing::{Keeper, Kept, Token};
use crate::support::{Log, Trace, World, free_path};

const LONG: Duration = Duration::from_secs(3600);

/// What came over a connection of lines, as words.
#[derive(Default)]
struct Session {
    kept: Kept,
    lines: usize,
}

impl LineProtocol for Session {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.lines += 1;
        let count = self.kept.len();
        transport.write(format!("{} after {count};", String::from_utf8_lossy(line)));
    }

    fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
        self.kept.descriptors.borrow_mut().push((self.lines, descriptor));
    }
}

fn inodes(tokens: &[Token]) -> Vec<u64> {
    tokens.iter().map(|token| token.inode).collect()
}

fn send_all(transport: &Transport, descriptors: Vec<OwnedFd>) {
    for descriptor in descriptors {
        transport.send_descriptor(descriptor).expect("room");
    }
}

fn quiet() -> Trace {
    Trace::new(&Log::new())
}

/// A connection of which both ends are streams, over which descriptors pass.
fn streams(world: &World) -> (Stream, Stream) {
    let endpoint = marline_reactor::Endpoint::unix(free_path()).descriptors(true);
    world.finish(async move {
        let listener = Listener::bind(&endpoint).expect("a listener");
        let client = Stream::connect(&endpoint).await.expect("a connection");
        (client, listener.accept().await.expect("a stream"))
    })
}

conformance! {
    fn u02_protocols_of_lines_get_descriptors_before_the_line_they_travel_with(world: &World) {
        let (log, session) = (Log::new(), Session::default());
        let kept = session.kept.clone();
        let (near, _far) = world.unix_pair("u02-lines", true, Trace::new(&log), Lines(session));
        let (descriptors, tokens) = Token::several(3);
        near.write(b"none\nt");
        send_all(&near, descriptors);
        near.write(b"hree\n");
        world.until(|| log.received() == 27);
        // They may come with bytes that were sent before.
        let text = String::from_utf8(log.bytes()).expect("words");
        assert!(text.ends_with(";three after 3;"), "{text}");
        assert_eq!(kept.inodes(), inodes(&tokens));
    }

    fn u02_policies_pass_descriptors_on(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let inner = TotalTimeout::new(LONG, Keeper::new(&log, &kept));
        let wrapped = IdleTimeout::new(LONG, RateLimit::new(1 << 20, 1 << 20, inner));
        let (near, _far) = world.unix_pair("u02-policies", true, quiet(), wrapped);
        let (descriptors, tokens) = Token::several(5);
        send_all(&near, descriptors);
        near.write(b"five");
        world.until(|| log.received() == 4);
        assert_eq!((kept.inodes(), kept.places()), (inodes(&tokens), vec![0; 5]));
    }

    fn u02_a_relay_passes_descriptors_on(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (from, left) = world.unix_pair("u02-left", true, quiet(), quiet());
        let (right, _to) = world.unix_pair("u02-right", true, quiet(), Keeper::new(&log, &kept));
        relay(&left, &right).expect("two connections");
        let (descriptors, tokens) = Token::several(20);
        for descriptor in descriptors {
            from.send_descriptor(descriptor).expect("room");
            from.write(b"x");
        }
        world.until(|| log.received() == 20);
        assert_eq!(kept.inodes(), inodes(&tokens));
        assert!(kept.places().iter().enumerate().all(|(number, place)| *place <= number));
    }

    fn u03_a_relay_closes_descriptors_that_the_other_side_does_not_carry(world: &World) {
        let log = Log::new();
        let (from, left) = world.unix_pair("u03-left", true, quiet(), quiet());
        let (right, _to) = world.unix_pair("u03-right", false, quiet(), Trace::new(&log));
        relay(&left, &right).expect("two connections");
        let (descriptors, tokens) = Token::several(3);
        send_all(&from, descriptors);
        from.write(b"bytes alone");
        world.until(|| log.received() == 11);
        assert!(tokens.iter().all(Token::is_closed));
    }

    fn u02_streams_send_and_receive_descriptors(world: &World) {
        let (near, far) = streams(world);
        let (descriptors, tokens) = Token::several(4);
        let (reading, writing) = far.into_split();
        let received = world.finish(async move {
            near.write_all(b"before").await?;
            for descriptor in descriptors {
                near.send_descriptor(descriptor).await?;
            }
            near.write_all(b"!").await?;
            let (mut buffer, mut count) = ([0; 16], 0);
            while count < 7 {
                count += reading.read(&mut buffer[count..]).await?;
            }
            let received = reading.take_descriptors()?;
            assert!(reading.take_descriptors()?.is_empty());
            // The same the other way.
            let (back, token) = Token::new();
            writing.send_descriptor(back).await?;
            writing.write_all(b"?").await?;
            assert_eq!(near.read(&mut buffer).await?, 1);
            let answer = near.take_descriptors()?;
            assert_eq!(answer.len(), 1);
            drop(answer);
            assert!(token.is_closed());
            std::io::Result::Ok(received)
        });
        let received = received.expect("descriptors");
        let found: Vec<u64> = received.iter().map(crate::support::passing::inode).collect();
        assert_eq!(found, inodes(&tokens));
    }

    fn u02_a_stream_that_carries_none_says_so(world: &World) {
        let (near, _far) = world.streams();
        let (descriptor, token) = Token::new();
        let refused = world.finish(async move { near.send_descriptor(descriptor).await }).expect_err("TCP");
        let inner = refused.get_ref().and_then(|inner| inner.downcast_ref::<SendDescriptorError>());
        assert!(inner.is_some_and(|inner| inner.is_unsupported()), "{refused:?}");
        drop(refused);
        assert!(token.is_closed());
    }

    fn u03_a_stream_that_nobody_takes_descriptors_from_has_a_bounded_number(world: &World) {
        let (near, far) = streams(world);
        let (descriptors, tokens) = Token::several(600);
        let writer = world.spawn(async move {
            for descriptor in descriptors {
                near.send_descriptor(descriptor).await?;
                near.write_all(b"x").await?;
            }
            near.flush().await?;
            std::io::Result::Ok(near)
        });
        world.finish(async move {
            let (mut buffer, mut count, mut taken) = ([0; 64], 0, 0);
            let refused = loop {
                match far.read(&mut buffer).await {
                    Ok(more) => count += more,
                    Err(error) => break error,
                }
            };
            assert!(refused.get_ref().is_some_and(|inner| inner.is::<UntakenDescriptors>()), "{refused:?}");
            assert!((1..600).contains(&count), "{count} bytes");
            // Nothing is lost by that.
            while count < 600 {
                let some = far.take_descriptors().expect("descriptors");
                assert!(some.len() <= 2 * 253, "{} at once", some.len());
                taken += some.len();
                count += far.read(&mut buffer).await.expect("bytes");
            }
            taken += far.take_descriptors().expect("descriptors").len();
            assert_eq!(taken, 600);
        });
        drop(world.join(writer).expect("everything is sent"));
        world.settle();
        assert!(tokens.iter().all(Token::is_closed));
    }

    fn u03_descriptors_that_a_stream_was_not_asked_for_are_closed_with_it(world: &World) {
        let (near, far) = streams(world);
        let (descriptors, tokens) = Token::several(3);
        let near = world.finish(async move {
            for descriptor in descriptors {
                near.send_descriptor(descriptor).await.expect("room");
            }
            near.write_all(b"x").await.expect("room");
            assert_eq!(far.read(&mut [0; 4]).await.expect("a byte"), 1);
            near
        });
        world.until(|| tokens.iter().all(Token::is_closed));
        drop(near);
    }

    fn u02_descriptors_pass_from_a_stream_to_the_protocol_that_takes_over(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (near, far) = streams(world);
        let (descriptors, tokens) = Token::several(3);
        let transport = near.transport().expect("a connection");
        send_all(&transport, descriptors);
        transport.write(b"some of it");
        let far = world.finish(async move {
            assert_eq!(far.read(&mut [0]).await.expect("a byte"), 1);
            far
        });
        far.into_protocol(Keeper::new(&log, &kept)).expect("a connection");
        world.until(|| log.received() == 9);
        assert_eq!((kept.inodes(), kept.places()), (inodes(&tokens), vec![0; 3]));
        assert_eq!(log.bytes(), b"ome of it");
    }

    fn u02_frames_of_a_stream_leave_its_descriptors_to_be_taken(world: &World) {
        let (near, far) = streams(world);
        let (descriptor, token) = Token::new();
        world.finish(async move {
            near.send_descriptor(descriptor).await.expect("room");
            near.write_all(b"a line\n").await.expect("room");
            let mut framed = Framed::new(far, marline_reactor::framing::LineParser::new());
            assert_eq!(framed.next().await.expect("no end").expect("a line"), b"a line");
            let received = framed.get_ref().take_descriptors().expect("descriptors");
            assert_eq!(crate::support::passing::inode(&received[0]), token.inode);
        });
    }
}
