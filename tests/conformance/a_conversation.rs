//! A: an async fn where a protocol is asked for.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use marline_tasks::{Stream, conversation, copy, task_stats};

use crate::conformance;
use crate::support::{Event, Log, Trace, World, address_of, failures};

async fn echo(stream: Stream) -> io::Result<u64> {
    copy(&stream, &stream).await
}

conformance! {
    fn a18_a_listener_takes_an_async_fn(world: &World) {
        let server = world.handle().listen("tcp://127.0.0.1:0", conversation(echo)).expect("a listener");
        let before = world.handle().enter(task_stats).spawned;
        let raws = [world.connect_raw(&server), world.connect_raw(&server)];
        for raw in &raws {
            raw.write(b"hello");
            assert_eq!(world.read(raw, 5), b"hello");
        }
        assert_eq!(world.handle().enter(task_stats).spawned, before + 2, "one task for each");
        assert_eq!(server.connections(), 2);
        for raw in &raws {
            raw.finish();
            world.until(|| raw.read().is_empty() && raw.is_finished());
        }
        world.until(|| world.handle().enter(task_stats).live == 0 && server.connections() == 0);
    }

    fn a18_the_addresses_are_known_before_there_is_a_future(world: &World) {
        let (known, asked) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let (place, later) = (Rc::clone(&known), Rc::clone(&asked));
        let talk = conversation(move |stream: Stream| {
            let ends = |stream: &Stream| Some((stream.local_address().ok()?, stream.peer_address().ok()?));
            place.borrow_mut().push(ends(&stream));
            let later = Rc::clone(&later);
            async move {
                later.borrow_mut().push(ends(&stream));
                stream.close().await
            }
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let raws = [world.connect_raw(&server), world.connect_raw(&server)];
        world.until(|| asked.borrow().len() == 2);
        assert_eq!(*known.borrow(), *asked.borrow());
        let here = server.local_address();
        for ends in &*known.borrow() {
            let (local, peer) = ends.clone().expect("both ends");
            assert!(Some(&local) == here.as_ref() && peer != local, "{local} with {peer}");
        }
        assert_ne!(known.borrow()[0], known.borrow()[1]);
        drop(raws);
    }

    fn a18_connecting_takes_an_async_fn(world: &World) {
        let listener = world.listen_raw();
        let heard = Rc::new(Cell::new(0));
        let place = Rc::clone(&heard);
        let talk = conversation(move |stream: Stream| {
            let place = Rc::clone(&place);
            async move {
                stream.write_all(b"question").await?;
                place.set(stream.read(&mut [0; 1]).await?);
                stream.close().await
            }
        });
        let made = Rc::new(Cell::new(false));
        let done = Rc::clone(&made);
        world.handle().connect(listener.endpoint(), talk, move |outcome| done.set(outcome.is_ok()));
        let raw = RefCell::new(None);
        world.until(|| {
            let mut raw = raw.borrow_mut();
            *raw = raw.take().or_else(|| listener.accept());
            raw.is_some()
        });
        let raw = raw.take().expect("a connection");
        assert_eq!(world.read(&raw, 8), b"question");
        assert!(made.get());
        raw.write(b"!");
        world.until(|| raw.read().is_empty() && raw.is_finished());
        assert_eq!(heard.get(), 1);
        raw.close();
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_an_error_of_a_conversation_is_reported_with_its_place(world: &World) {
        let told = failures(&world.handle());
        let line = line!() + 1;
        let talk = conversation(|stream: Stream| async move {
            stream.write_all(b"hello").await?;
            Err::<(), _>(io::Error::other("it went wrong"))
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let raw = world.connect_raw(&server);
        assert_eq!(world.read(&raw, 5), b"hello");
        world.until(|| raw.is_finished());
        let told = told.borrow();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("it went wrong") && told[0].contains(&format!("{}:{line}:", file!())), "{told:?}");
    }

    fn a18_a_conversation_that_panics_ends_its_own_connection(world: &World) {
        let told = failures(&world.handle());
        let count = Rc::new(Cell::new(0));
        let talk = conversation(move |stream: Stream| {
            count.set(count.get() + 1);
            assert_ne!(count.get(), 1, "refused");
            let breaks = count.get() == 2;
            async move {
                assert!(!breaks, "broken");
                echo(stream).await
            }
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let refused = world.connect_raw(&server);
        world.until(|| refused.read().is_empty() && refused.is_finished());
        let broken = world.connect_raw(&server);
        world.until(|| broken.read().is_empty() && broken.is_finished());
        let told = told.borrow().clone();
        assert!(told.len() == 2 && told[0].contains("refused") && told[1].contains("broken"), "{told:?}");
        let third = world.connect_raw(&server);
        third.write(b"x");
        assert_eq!(world.read(&third, 1), b"x");
        assert_eq!(world.handle().enter(task_stats).live, 1);
    }

    fn a18_a_conversation_may_pass_its_connection_on(world: &World) {
        let log = Log::new();
        let next = log.clone();
        let talk = conversation(move |stream: Stream| {
            let trace = Trace::new(&next);
            async move {
                let mut first = [0; 1];
                stream.read(&mut first).await?;
                stream.into_protocol(trace)?;
                Ok::<(), io::Error>(())
            }
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let raw = world.connect_raw(&server);
        world.write(&raw, b"?rest");
        world.until(|| log.received() == 4);
        assert_eq!(world.handle().enter(task_stats).live, 0);
        raw.finish();
        world.until(|| log.is_lost() && raw.read().is_empty() && raw.is_finished());
        assert_eq!((log.bytes(), log.losses()), (b"rest".to_vec(), 1));
        assert_eq!(log.count(&Event::Made), 1);
    }

    fn a18_before_its_connection_stands_a_stream_waits(world: &World) {
        // The factory is called before there is a connection; what the stream is asked there is answered later.
        let transports = Rc::new(Cell::new(0));
        let count = Rc::clone(&transports);
        let talk = conversation(move |stream: Stream| {
            count.set(count.get() + usize::from(stream.transport().is_ok()));
            let mut talk = Box::pin(async move {
                stream.write_all(b"early").await?;
                stream.flush().await?;
                stream.close().await
            });
            assert!(futures::FutureExt::now_or_never(talk.as_mut()).is_none());
            talk
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let raw = world.connect_raw_to(address_of(&server));
        assert_eq!(world.read(&raw, 5), b"early");
        world.until(|| raw.read().is_empty() && raw.is_finished());
        assert_eq!(transports.get(), 0);
        raw.close();
        world.until(|| server.connections() == 0);
    }

    fn a18_a_writing_half_that_is_dropped_before_the_connection_stands_ends_our_direction(world: &World) {
        let talk = conversation(|stream: Stream| {
            let (reading, writing) = stream.into_split();
            drop(writing);
            async move { reading.read(&mut [0; 8]).await }
        });
        let server = world.handle().listen("tcp://127.0.0.1:0", talk).expect("a listener");
        let raw = world.connect_raw(&server);
        world.until(|| raw.read().is_empty() && raw.is_finished());
        assert_eq!(world.handle().enter(task_stats).live, 1, "it still reads");
        raw.write(b"x");
        world.until(|| world.handle().enter(task_stats).live == 0);
    }
}
