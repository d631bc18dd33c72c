//! M: frames over connections, whichever parser finds them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::framing::{Frames, LineParser, NetstringParser, Prefix, PrefixParser};
use marline_reactor::{Reason, Transport};

use crate::support::{Event, Framing, Got, Log, Session, Trace, World, encoded, messages};
use crate::{conformance, streams};

/// A connection with a session on it, to which the far end sends the bytes and then ends.
fn send_all<F: Framing>(world: &World, session: Session<F>, parser: F, bytes: &[u8], got: &Got) {
    let (_, raw) = world.accept_one(Frames::with_parser(session, parser));
    let (few, many) = bytes.split_at(bytes.len().min(2000));
    for piece in few.chunks(13) {
        world.write(&raw, piece);
        world.turn();
    }
    world.write(&raw, many);
    raw.finish();
    world.until(|| got.is_lost());
}

fn any_split<F: Framing>(world: &World, make: impl Fn() -> F) {
    let (got, messages) = (Got::default(), messages(world));
    let bytes = encoded(&make(), &messages);
    let cut = bytes.len() - 2;
    send_all(world, Session::new(&got), make(), &bytes[..cut], &got);
    assert!(got.frames.borrow()[..] == messages[..messages.len() - 1], "the messages differ");
    let last = encoded(&make(), &messages[messages.len() - 1..]);
    assert_eq!(got.unfinished.borrow().as_deref(), Some(&last[..last.len() - 2]));
}

/// Pauses in each callback: within it, until a later batch, or until a timer.
fn pauses<F: Framing>(world: &World, make: impl Fn() -> F) {
    let (got, messages) = (Got::default(), messages(world));
    let (paused, count) = (Rc::new(Cell::new(false)), Cell::new(0));
    let session = Session::new(&got).on_frame(move |transport, _, _| {
        assert!(!paused.get(), "a frame after the pause");
        count.set(count.get() + 1);
        let (other, again) = (transport.clone(), Rc::clone(&paused));
        let resume = move || {
            again.set(false);
            other.resume_reading();
        };
        match count.get() % 5 {
            0 => {
                transport.pause_reading();
                transport.resume_reading();
            }
            1 | 2 => {
                paused.set(true);
                transport.pause_reading();
                transport.handle().call_soon(resume);
            }
            3 if count.get() < 200 => {
                paused.set(true);
                transport.pause_reading();
                transport.handle().call_later(Duration::from_micros(50), resume);
            }
            _ => {}
        }
    });
    let bytes = encoded(&make(), &messages);
    send_all(world, session, make(), &bytes, &got);
    assert!(*got.frames.borrow() == messages, "the messages differ");
    assert_eq!(got.unfinished.borrow().as_deref(), Some(&b""[..]));
}

/// Nothing comes after the end that a callback brought about.
fn ends<F: Framing>(world: &World, make: impl Fn() -> F, end: impl Fn(&Transport) + 'static) -> Got {
    let got = Got::default();
    let session = Session::new(&got).on_frame(move |transport, frame, _| {
        if frame == b"end" {
            end(transport);
        }
    });
    let (_, raw) = world.accept_one(Frames::with_parser(session, make()));
    let messages = [&b"one"[..], b"end", b"never", b"never"].map(<[u8]>::to_vec);
    raw.write(&encoded(&make(), &messages));
    world.settle();
    raw.close();
    world.until(|| got.is_lost());
    assert!(*got.frames.borrow() == messages[..2], "{:?}", got.frames);
    got
}

/// The bytes behind a frame are those of the successor, of whatever kind.
fn handed_over<F: Framing>(world: &World, make: impl Fn() -> F) {
    let (got, log) = (Got::default(), Log::new());
    let seen = log.clone();
    let session = Session::new(&got).on_frame(move |transport, frame, rest| {
        if frame == b"switch" {
            assert!(b"raw\nbytes\0".starts_with(&rest.bytes()[..rest.bytes().len().min(10)]));
            transport.set_protocol(Trace::new(&seen), b"").expect("a live connection");
        }
    });
    let (_, raw) = world.accept_one(Frames::with_parser(session, make()));
    let bytes = encoded(&make(), &[b"one".to_vec(), b"switch".to_vec()]);
    let raw_bytes = [b"raw\nbytes\0", &world.payload()[..]].concat();
    world.write(&raw, &[&bytes[..], &raw_bytes].concat());
    world.until(|| log.received() == raw_bytes.len());
    assert!(log.bytes() == raw_bytes, "the bytes differ");
    assert_eq!(log.events(), [Event::Made]);
    assert_eq!(got.count(), 2);
}

/// A callback takes out what is there, and the successor gets what follows.
fn taken_out<F: Framing>(world: &World, make: impl Fn() -> F) {
    let (got, log) = (Got::default(), Log::new());
    let taken = Rc::new(RefCell::new(None));
    let (seen, out) = (log.clone(), Rc::clone(&taken));
    let session = Session::new(&got).on_frame(move |transport, frame, rest| {
        if frame == b"switch" {
            out.replace(Some(rest.take().to_vec()));
            assert_eq!(rest.bytes(), b"");
            transport.set_protocol(Trace::new(&seen), b"").expect("a live connection");
        }
    });
    let (_, raw) = world.accept_one(Frames::with_parser(session, make()));
    let bytes = encoded(&make(), &[b"switch".to_vec()]);
    let payload = world.payload();
    world.write(&raw, &[&bytes[..], &payload].concat());
    let of_callback = || taken.borrow().as_ref().map_or(0, Vec::len);
    world.until(|| of_callback() + log.received() == payload.len());
    let all = [taken.borrow().clone().expect("what was there"), log.bytes()].concat();
    assert!(all == payload, "the bytes differ");
}

/// A frame's bytes that came before the bytes were raw are raw as well.
fn raw_in_the_middle<F: Framing>(world: &World, make: impl Fn() -> F) {
    let got = Got::default();
    let (_, raw) = world.accept_one(Frames::with_parser(Session::new(&got), make()));
    let bytes = encoded(&make(), &[b"whole".to_vec(), b"in parts".to_vec()]);
    let first = encoded(&make(), &[b"whole".to_vec()]).len();
    world.write(&raw, &bytes[..first + 3]);
    world.until(|| got.count() == 1);
    world.settle();
    got.is_raw.set(true);
    world.write(&raw, &bytes[first + 3..]);
    world.until(|| got.raw.borrow().len() == bytes.len() - first);
    assert_eq!(*got.raw.borrow(), bytes[first..]);
    got.is_raw.set(false);
    world.write(&raw, &bytes);
    world.until(|| got.count() == 3);
    assert_eq!(got.raw.borrow().len(), bytes.len() - first);
}

fn prefixed() -> PrefixParser {
    PrefixParser::new(Prefix::U16)
}

streams! {
    fn m01_any_split_gives_the_same_messages(world: &World) {
        any_split(world, LineParser::new);
        any_split(world, || LineParser::new().delimiter(b"\r\n"));
        any_split(world, prefixed);
        any_split(world, || PrefixParser::new(Prefix::U32.little_endian()));
        any_split(world, NetstringParser::new);
    }

    fn m02_a_pause_stops_at_once_and_nothing_is_lost_or_repeated(world: &World) {
        pauses(world, LineParser::new);
        pauses(world, prefixed);
        pauses(world, NetstringParser::new);
    }

    fn m09_the_bytes_behind_a_message_go_to_the_successor(world: &World) {
        handed_over(world, LineParser::new);
        handed_over(world, prefixed);
        handed_over(world, NetstringParser::new);
    }

    fn m09_the_bytes_behind_a_message_can_be_taken_out_from_inside_its_callback(world: &World) {
        taken_out(world, LineParser::new);
        taken_out(world, prefixed);
        taken_out(world, NetstringParser::new);
    }
}

conformance! {
    fn m03_after_a_close_inside_a_callback_no_message_is_delivered(world: &World) {
        for got in [
            ends(world, LineParser::new, Transport::close),
            ends(world, prefixed, Transport::close),
            ends(world, NetstringParser::new, Transport::close),
        ] {
            assert!(!matches!(got.lost.borrow().as_ref().expect("a loss").reason(), Reason::Failed(_)));
        }
        ends(world, LineParser::new, Transport::abort);
        ends(world, prefixed, Transport::abort);
        ends(world, NetstringParser::new, Transport::abort);
        let failing = |transport: &Transport| transport.fail("no more");
        ends(world, LineParser::new, failing);
        ends(world, prefixed, failing);
        ends(world, NetstringParser::new, failing);
    }

    fn m04_bytes_of_an_unfinished_message_are_raw_if_the_rest_is(world: &World) {
        raw_in_the_middle(world, LineParser::new);
        raw_in_the_middle(world, prefixed);
        raw_in_the_middle(world, NetstringParser::new);
    }

    fn m09_what_a_parser_had_kept_comes_first(world: &World) {
        let got = Got::default();
        let mut parser = LineParser::new();
        marline_reactor::framing::Feed::keep(&mut parser, b"one\ntwo\nth");
        let (_, raw) = world.accept_one(Frames::with_parser(Session::new(&got), parser));
        world.until(|| got.count() == 2);
        raw.write(b"ree\n");
        world.until(|| got.count() == 3);
        assert_eq!(*got.frames.borrow(), [&b"one"[..], b"two", b"three"]);
    }
}
