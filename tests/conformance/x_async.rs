//! X: TLS in the async style.

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use futures::io::{AsyncBufReadExt, AsyncReadExt};
use marline_reactor::filter::{ReadAhead, ReadAheadRefused};
use marline_reactor::{Lost, Reason};
use marline_tasks::{JoinHandle, Stream};
use marline_tls::{StartTls, TlsError, TlsVersion};

use crate::secured;
use crate::support::secure::{Far, Party, Setup, Way, forgets};
use crate::support::{Log, Trace, World, skip};

/// Turns the loop, and has the peer read and send, until the task is done.
#[track_caller]
fn join<T: 'static>(world: &World, party: &Party, task: JoinHandle<T>) -> T {
    world.until(|| {
        party.pump();
        task.is_finished()
    });
    world.join(task)
}

/// A stream without TLS of its own, and the peer for TLS on it.
fn plain(world: &World, way: Way) -> (Stream, Party) {
    let (transport, far) = world.plain(Trace::new(&Log::new()).keep_open());
    let stream = Stream::from_transport(&transport).expect("a live connection");
    (stream, Party::opposite(way.ours, way.version, &Setup::default(), far))
}

/// A stream with TLS.
fn secure(world: &World, way: Way, setup: &Setup) -> (Stream, Rc<Party>) {
    let begun = world.secure(way, setup, Trace::new(&Log::new()).keep_open());
    (Stream::from_transport(&begun.transport()).expect("a live connection"), begun.party)
}

/// Ways that begin on a stream.
fn upgrades(world: &World) -> impl Iterator<Item = Way> {
    world.ways().into_iter().filter(|way| !way.by_endpoint)
}

async fn read_all(stream: &mut Stream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let outcome = stream.read_to_end(&mut bytes).await.map(drop);
    (bytes, outcome)
}

/// Why the connection ended.
fn reason(error: &io::Error) -> &Reason {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Lost>()).expect("the end of a connection").reason()
}

secured! {
    fn x01_x14_a_stream_goes_on_within_tls(world: &World) {
        for way in upgrades(world) {
            let (mut stream, party) = plain(world, way);
            let (payload, filter) = (world.payload(), way.ours.filter(way.version, &Setup::default()));
            let sent = payload.clone();
            let task = world.spawn(async move {
                // In place at once: what is written before the handshake is done is written within.
                let pushed = stream.push_filter(filter, ReadAhead::Refuse);
                pushed.await?;
                let info = stream.transport()?.tls();
                stream.write_all(&sent).await?;
                let mut answer = [0; 6];
                stream.read_exact(&mut answer).await?;
                Ok::<_, io::Error>((answer, info.is_some_and(|info| info.peer_certificates().len() == 1), stream))
            });
            party.say(b"answer");
            let (answer, is_known, stream) = join(world, &party, task).expect("an upgrade");
            assert_eq!((&answer, is_known), (b"answer", true));
            world.until(|| {
                party.pump();
                party.has_heard(payload.len())
            });
            assert!(party.heard() == payload, "bytes were lost, repeated or moved");
            drop(stream);
        }
    }

    fn x01_what_is_written_while_nobody_awaits_the_handshake_arrives_after_it(world: &World) {
        for way in upgrades(world) {
            let (mut stream, party) = plain(world, way);
            let filter = way.ours.filter(way.version, &Setup::default());
            let task = world.spawn(async move {
                drop(stream.push_filter(filter, ReadAhead::Refuse));
                stream.write_all(b"early").await?;
                stream.flush().await?;
                Ok::<_, io::Error>(stream)
            });
            let stream = join(world, &party, task).expect("a flush");
            world.until(|| {
                party.pump();
                party.has_heard(5)
            });
            assert_eq!(party.heard(), b"early");
            drop(stream);
        }
    }

    fn x04_x05_a_handshake_that_fails_is_the_error_of_the_upgrade(world: &World) {
        for way in upgrades(world) {
            for answers in [true, false] {
                let (mut stream, party) = plain(world, way);
                let setup = Setup::default().with_handshake_timeout(Duration::from_millis(60));
                let filter = way.ours.filter(way.version, &setup);
                let task = world.spawn(async move {
                    let error = stream.push_filter(filter, ReadAhead::Refuse).await.expect_err("no handshake");
                    (error, stream.write_all(b"nothing").await.map_err(|error| error.kind()), read_all(&mut stream).await.0)
                });
                let far = party.below();
                if answers {
                    assert_eq!(far.write(b"no TLS at all\r\n"), 15);
                }
                world.until(|| {
                    drop(far.read());
                    task.is_finished()
                });
                let (error, written, read) = world.join(task);
                assert!(read.is_empty() && written.is_err());
                match reason(&error) {
                    Reason::Failed(why) if answers => {
                        assert!(why.downcast_ref::<TlsError>().is_some_and(TlsError::is_handshake), "{why}");
                    }
                    Reason::Timeout if !answers => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn x07_closing_says_goodbye_behind_all_data(world: &World) {
        for way in world.ways() {
            let (stream, party) = secure(world, way, &Setup::default());
            let (payload, before) = (world.payload(), world.handle().stats().connections);
            let sent = payload.clone();
            let task = world.spawn(async move {
                stream.write_all(&sent).await?;
                stream.close().await?;
                drop(stream);
                Ok::<_, io::Error>(())
            });
            join(world, &party, task).expect("a close");
            world.until(|| {
                party.pump();
                party.has_heard_goodbye()
            });
            assert!(party.heard() == payload, "bytes were lost, repeated or moved");
            assert!(!party.below().is_finished(), "it waits for the peer's answer");
            party.say_goodbye();
            world.until(|| {
                party.pump();
                world.handle().stats().connections < before
            });
            world.until(|| party.is_over());
        }
    }

    fn x09_a_truncated_stream_is_an_unexpected_end_behind_the_data(world: &World) {
        for way in world.ways() {
            let (mut stream, party) = secure(world, way, &Setup::default());
            let payload = world.payload();
            let task = world.spawn(async move { read_all(&mut stream).await });
            party.say(&payload);
            party.cut();
            let (bytes, outcome) = join(world, &party, task);
            assert!(bytes == payload, "bytes were lost, repeated or moved");
            let error = outcome.expect_err("an end that is none");
            assert!(error.kind() == ErrorKind::UnexpectedEof && matches!(reason(&error), Reason::Truncated));
        }
    }

    fn x11_what_comes_after_a_stream_was_dropped_is_no_error(world: &World) {
        for way in world.ways() {
            let begun = world.secure(way, &Setup::default(), Trace::new(&Log::new()));
            let transport = begun.transport();
            drop(Stream::from_transport(&transport).expect("a live connection"));
            world.until(|| {
                begun.party.pump();
                begun.party.has_heard_goodbye()
            });
            begun.party.say(&world.payload());
            begun.party.say_goodbye();
            world.until(|| {
                begun.party.pump();
                transport.is_lost()
            });
            world.until(|| begun.party.is_over());
        }
    }

    fn x15_what_was_read_ahead_is_refused_or_fed_and_never_read(world: &World) {
        if world.cuts() {
            return skip("here it may come later than the line");
        }
        for way in upgrades(world) {
            for read_ahead in [ReadAhead::Refuse, ReadAhead::Feed] {
                let (mut stream, party) = plain(world, way);
                let filter = way.ours.filter(way.version, &Setup::default());
                assert_eq!(party.below().write(b"STARTTLS\r\nRCPT TO: somebody\r\n"), 29);
                let task = world.spawn(async move {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.expect("a line");
                    let error = stream.push_filter(filter, read_ahead).await.expect_err("no handshake");
                    (line, error, read_all(&mut stream).await.0)
                });
                world.until(|| {
                    drop(party.below().read());
                    task.is_finished()
                });
                let (line, error, read) = world.join(task);
                assert_eq!((line.as_str(), read), ("STARTTLS\r\n", Vec::new()));
                let Reason::Failed(why) = reason(&error) else { panic!("{error}") };
                match read_ahead {
                    ReadAhead::Refuse => {
                        assert_eq!(why.downcast_ref::<ReadAheadRefused>().map(|refused| refused.bytes), Some(19));
                    }
                    ReadAhead::Feed => assert!(why.to_string().contains("is not TLS"), "{why}"),
                }
            }
        }
    }

    fn x16_what_was_written_before_the_upgrade_leaves_before_the_handshake(world: &World) {
        for way in upgrades(world) {
            let (mut stream, party) = plain(world, way);
            let filter = way.ours.filter(way.version, &Setup::default());
            let task = world.spawn(async move {
                stream.write_all(b"plain").await?;
                stream.push_filter(filter, ReadAhead::Refuse).await?;
                stream.write_all(b"within").await?;
                Ok::<_, io::Error>(stream)
            });
            let wire = std::cell::RefCell::new(Vec::new());
            world.until(|| {
                wire.borrow_mut().extend(party.below().read());
                wire.borrow().len() >= 5
            });
            assert_eq!(wire.borrow()[..5], *b"plain");
            party.feed(&wire.borrow()[5..]);
            let stream = join(world, &party, task).expect("an upgrade");
            world.until(|| {
                party.pump();
                party.has_heard(6)
            });
            assert_eq!(party.heard(), b"within");
            drop(stream);
        }
    }

    fn x23_a_half_that_closes_leaves_the_other_reading(world: &World) {
        for way in world.ways().into_iter().filter(|way| way.version == TlsVersion::Tls13) {
            let (stream, party) = secure(world, way, &Setup::default());
            let payload = world.payload();
            let task = world.spawn(async move {
                let (mut reading, writing) = stream.into_split();
                writing.write_all(b"question").await?;
                writing.close().await?;
                let mut bytes = Vec::new();
                reading.read_to_end(&mut bytes).await?;
                Ok::<_, io::Error>(bytes)
            });
            world.until(|| {
                party.pump();
                party.has_heard_goodbye()
            });
            assert_eq!(party.heard(), b"question");
            assert!(!party.below().is_finished() && !task.is_finished());
            party.say(&payload);
            party.say_goodbye();
            assert!(join(world, &party, task).expect("the answer") == payload);
            world.until(|| party.is_over());
        }
    }

    fn x17_streams_have_tls_within_tls(world: &World) {
        for way in world.ways() {
            let (mut stream, outer) = secure(world, way, &Setup::default());
            outer.answer();
            let below: Rc<dyn Far> = Rc::clone(&outer) as Rc<dyn Far>;
            let party = Party::opposite(way.ours, way.version, &Setup::default(), below);
            let filter = way.ours.filter(way.version, &Setup::default());
            let payload = world.payload();
            let task = world.spawn(async move {
                stream.push_filter(filter, ReadAhead::Refuse).await?;
                let (bytes, outcome) = read_all(&mut stream).await;
                outcome?;
                stream.write_all(&bytes).await?;
                stream.close().await?;
                Ok::<_, io::Error>(())
            });
            party.say(&payload);
            // A close_notify within the handshake would be none.
            world.until(|| {
                party.pump();
                !party.is_shaking()
            });
            party.say_goodbye();
            join(world, &party, task).expect("an echo");
            world.until(|| party.is_over());
            assert!(forgets(world) || party.heard() == payload && party.has_heard_goodbye());
        }
    }
}
