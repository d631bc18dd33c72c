//! W31 to W33 for async code: files on streams.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;
use marline_reactor::{SendFileError, SendFileErrorKind};
use marline_tests::files::file_of;

use crate::support::{World, pattern};
use crate::{conformance, streams};

/// More than is kept on the way to a peer who does not read.
fn flood_size(world: &World) -> usize {
    if world.is_memory() { 300 * 1024 } else { 12 * 1024 * 1024 }
}

fn why(error: &io::Error) -> Option<&SendFileErrorKind> {
    Some(error.get_ref()?.downcast_ref::<SendFileError>()?.kind())
}

streams! {
    fn w31_a_stream_sends_a_file_in_its_place(world: &World) {
        let (stream, raw) = world.stream();
        let payload = world.payload();
        let file = Arc::new(file_of(&payload));
        let wanted = [b"before", &payload[..], b"between", &payload[1..4], b"after"].concat();
        let task = world.spawn(async move {
            stream.write_all(b"before").await?;
            stream.send_file(file.clone(), ..).await?;
            assert_eq!(stream.transport()?.buffered(), 0, "the system has all of it");
            assert_eq!(Arc::strong_count(&file), 1);
            stream.write_all(b"between").await?;
            let (_reading, writing) = stream.into_split();
            writing.send_file(file, 1..4).await?;
            writing.write_all(b"after").await?;
            writing.close().await
        });
        let seen = RefCell::new(Vec::new());
        world.until(|| {
            seen.borrow_mut().extend(raw.read());
            raw.is_finished()
        });
        world.join(task).expect("everything is sent");
        assert!(seen.into_inner() == wanted, "the bytes differ");
    }
}

conformance! {
    fn w32_a17_a_stream_that_sends_a_file_is_busy_until_that_is_dropped(world: &World) {
        let (stream, raw) = world.stream();
        let (stream, size) = (Rc::new(stream), flood_size(world));
        let sender = Rc::clone(&stream);
        let file = file_of(&pattern(size));
        let task = world.spawn(async move { sender.send_file(file, ..).await });
        world.settle();
        assert!(!task.is_finished());
        let busy = stream.write_all(b"x").now_or_never().expect("an answer at once");
        assert_eq!(busy.expect_err("one is under way").kind(), ErrorKind::ResourceBusy);
        let busy = stream.send_file(file_of(b"x"), ..).now_or_never().expect("an answer at once");
        assert_eq!(busy.expect_err("one is under way").kind(), ErrorKind::ResourceBusy);
        // What was begun goes on, whoever waits for it.
        task.abort();
        world.settle();
        let writer = Rc::clone(&stream);
        let task = world.spawn(async move {
            writer.write_all(b"behind").await?;
            writer.close().await
        });
        let seen = world.read(&raw, size + 6);
        world.join(task).expect("everything is sent");
        let wanted = [&pattern(size)[..], b"behind"].concat();
        assert!(seen == wanted, "the bytes differ");
    }

    fn w33_a_peer_who_closes_in_the_middle_is_an_error(world: &World) {
        let (stream, raw) = world.stream();
        let file = Arc::new(file_of(&pattern(flood_size(world))));
        let sent = Arc::clone(&file);
        let task = world.spawn(async move { stream.send_file(sent, ..).await });
        world.read(&raw, 500);
        raw.reset();
        let error = world.join(task).expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        world.settle();
        assert_eq!(Arc::strong_count(&file), 1);
    }

    fn w31_a_file_that_cannot_be_sent_is_an_error_and_the_stream_goes_on(world: &World) {
        let (stream, raw) = world.stream();
        let task = world.spawn(async move {
            let directory = stream.send_file(File::open(".")?, ..).await.expect_err("no file");
            assert!(matches!(why(&directory), Some(SendFileErrorKind::NotRegular)), "{directory}");
            let short = stream.send_file(file_of(b"short"), ..6).await.expect_err("too long");
            assert!(matches!(why(&short), Some(SendFileErrorKind::OutOfRange { .. })), "{short}");
            assert_eq!(short.kind(), ErrorKind::InvalidInput);
            stream.close().await?;
            let closed = stream.send_file(file_of(b"late"), ..).await.expect_err("closed");
            assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
            io::Result::Ok(())
        });
        world.join(task).expect("nothing else fails");
        world.until(|| raw.is_finished());
        assert_eq!(raw.read(), b"");
    }
}
