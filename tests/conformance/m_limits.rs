//! M: what framings refuse, in both directions, and what becomes of the connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::framing::{
    ByLine, Encode, FrameTooLong, Frames, LineParser, LineProtocol, LineTooLong, Lines, NetstringError,
    NetstringParser, Prefix, PrefixParser, UnsendableLine,
};
use marline_reactor::{Reason, Transport};
use marline_tasks::{Framed, FramedSendError};

use crate::support::{Got, Session, World, messages};
use crate::{conformance, streams};

/// Lines that say how many bytes follow as they are.
struct Bodies {
    left: usize,
    bodies: Rc<RefCell<Vec<Vec<u8>>>>,
    /// The lowest and the highest place on the stack that a callback ran at.
    depths: Rc<Cell<(usize, usize)>>,
}

impl Bodies {
    fn note_depth(&self) {
        let marker = 0_u8;
        let here = (&raw const marker).addr();
        let (lowest, highest) = self.depths.get();
        self.depths.set((lowest.min(here), highest.max(here)));
    }
}

impl LineProtocol for Bodies {
    fn line_received(&mut self, _: &Transport, line: &[u8]) {
        self.note_depth();
        assert_eq!(self.left, 0, "a line within a body");
        self.left = String::from_utf8_lossy(line).parse().expect("a number");
        self.bodies.borrow_mut().push(Vec::new());
    }

    fn is_raw(&self) -> bool {
        self.left > 0
    }

    fn raw_received(&mut self, transport: &Transport, data: &[u8]) {
        self.note_depth();
        let (body, behind) = data.split_at(self.left.min(data.len()));
        self.left -= body.len();
        self.bodies.borrow_mut().last_mut().expect("a length").extend_from_slice(body);
        transport.unread(behind);
    }
}

/// How many lines and raw bytes take turns, at least.
const SWITCHES: usize = 4096;

streams! {
    fn m04_thousands_of_switches_between_lines_and_raw_bytes_use_no_recursion(world: &World) {
        let bodies = Rc::new(RefCell::new(Vec::new()));
        let depths = Rc::new(Cell::new((usize::MAX, 0)));
        let protocol = Bodies { left: 0, bodies: Rc::clone(&bodies), depths: Rc::clone(&depths) };
        let (transport, raw) = world.accept_one(Lines(protocol));
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for message in messages(world) {
            // Bodies that hold ends of lines, and short ones in between.
            for body in [&message[..], b"\n", b"", b"\r\nx"] {
                bytes.extend_from_slice(format!("{}\n", body.len()).as_bytes());
                bytes.extend_from_slice(body);
                expected.push(body.to_vec());
            }
        }
        for _ in 0..SWITCHES {
            bytes.extend_from_slice(b"1\nx");
            expected.push(b"x".to_vec());
        }
        // Everything is there before the first line is looked at, where there is room for it.
        transport.pause_reading();
        let written = raw.write(&bytes);
        world.settle();
        transport.resume_reading();
        world.write(&raw, &bytes[written..]);
        let total = expected.concat().len();
        let received = || bodies.borrow().iter().map(Vec::len).sum::<usize>();
        world.until(|| bodies.borrow().len() == expected.len() && received() == total);
        assert!(*bodies.borrow() == expected, "the bodies differ");
        let (lowest, highest) = depths.get();
        // One path to a callback takes some ten thousand bytes more than another, with a sanitizer; a frame for each switch
        // would take more than 64 bytes for each.
        assert!(highest - lowest < SWITCHES * 64, "{} bytes of stack", highest - lowest);
    }
}

/// Sends the pieces, and tells what a session with a limit of four made of them.
fn lines_of_four(world: &World, pieces: &[&[u8]], parser: LineParser) -> Got {
    let got = Got::default();
    let session = Session::new(&got);
    let (_, raw) = world.accept_one(Frames::with_parser(session, parser.max_length(4)));
    for piece in pieces {
        raw.write(piece);
        world.settle();
    }
    raw.finish();
    world.until(|| got.is_lost());
    got
}

conformance! {
    fn m05_the_limit_counts_the_line_and_not_its_delimiter_also_when_that_is_split(world: &World) {
        for pieces in [&[&b"1234\r\n"[..]][..], &[b"1234\r", b"\n"], &[b"1234", b"\r", b"\n"], &[b"1234\n"]] {
            let got = lines_of_four(world, pieces, LineParser::new());
            assert_eq!(*got.frames.borrow(), [b"1234"]);
        }
        let ends = LineParser::new().delimiter(b"<end>");
        let got = lines_of_four(world, &[b"1234<e", b"nd>123<", b"end>"], ends);
        assert_eq!(*got.frames.borrow(), [&b"1234"[..], b"123"]);
        for pieces in [&[&b"1\n12345\n2\n"[..]][..], &[b"1\n1234", b"5\r\n2\n"], &[b"1\n12345\r", b"\n2\n"]] {
            let got = lines_of_four(world, pieces, LineParser::new());
            assert_eq!(*got.frames.borrow(), [b"1"]);
            assert_eq!(got.failure::<LineTooLong>().limit(), 4);
        }
    }

    fn m05_a_line_that_is_too_long_is_told_before_it_ends(world: &World) {
        struct Polite(Rc<Cell<usize>>);
        impl LineProtocol for Polite {
            fn line_received(&mut self, transport: &Transport, line: &[u8]) {
                transport.write(line);
            }

            fn line_too_long(&mut self, transport: &Transport, error: LineTooLong) {
                self.0.set(self.0.get() + 1);
                transport.write(format!("at most {}!", error.limit()));
            }
        }
        let told = Rc::new(Cell::new(0));
        let parser = LineParser::new().max_length(4);
        let (_, raw) = world.accept_one(Lines::with_parser(ByLine(Polite(Rc::clone(&told))), parser));
        raw.write(b"123456");
        assert_eq!(world.read(&raw, 10), b"at most 4!");
        raw.write(b"and on and on\ngood\n");
        assert_eq!(world.read(&raw, 4), b"good");
        assert_eq!(told.get(), 1);
    }

    fn m06_a_length_above_the_limit_is_refused_before_the_body_comes(world: &World) {
        for (prefix, bytes) in [
            (Prefix::U8, &b"\xff"[..]),
            (Prefix::U16, b"\x00\xff"),
            (Prefix::U32, b"\x00\x00\x00\xff"),
            (Prefix::U32.little_endian(), b"\xff\x00\x00\x00"),
        ] {
            let got = Got::default();
            let parser = PrefixParser::new(prefix).max_length(254);
            let (_, raw) = world.accept_one(Frames::with_parser(Session::new(&got), parser));
            raw.write(bytes);
            world.until(|| got.is_lost());
            let error: FrameTooLong = got.failure();
            assert_eq!((error.length(), error.limit()), (255, 254));
        }
    }

    fn m06_a_refused_body_can_be_passed_over(world: &World) {
        let got = Got::default();
        let refused = Rc::new(Cell::new(0));
        let count = Rc::clone(&refused);
        let session = Session::new(&got).on_refused(move |_, _| count.set(count.get() + 1));
        let parser = PrefixParser::new(Prefix::U16).max_length(10);
        let (_, raw) = world.accept_one(Frames::with_parser(session, parser));
        let mut bytes = Vec::new();
        for frame in [&b"first"[..], &[0; 5000], b"second", &[7; 11], b"", b"third"] {
            Prefix::U16.encode(frame, &mut bytes).expect("short frames");
        }
        world.write(&raw, &bytes);
        world.until(|| got.count() == 4);
        assert_eq!(*got.frames.borrow(), [&b"first"[..], b"second", b"", b"third"]);
        assert_eq!(refused.get(), 2);
    }

    fn m07_sending_more_than_the_prefix_can_express_is_an_error_and_sends_nothing(world: &World) {
        let (stream, raw) = world.stream();
        world.finish(async move {
            let mut frames = Framed::new(&stream, PrefixParser::new(Prefix::U8));
            let FramedSendError::Frame(error) = frames.send(&[0; 256]).await.expect_err("too long") else {
                panic!("the stream is fine");
            };
            assert_eq!((error.length(), error.limit()), (256, 255));
            frames.send(b"fits").await.expect("a live connection");
            let mut lines = Framed::new(&stream, LineParser::new());
            let error = lines.send(b"two\nlines").await.expect_err("not one line");
            assert!(matches!(error, FramedSendError::Frame(UnsendableLine)));
            lines.send(b"one").await.expect("a live connection");
            lines.close().await.expect("a live connection");
        });
        assert_eq!(world.read(&raw, 9), b"\x04fitsone\n");
        world.until(|| raw.is_finished());
    }

    fn m08_a_malformed_netstring_closes_the_connection_with_a_typed_reason(world: &World) {
        for (bytes, expected) in [
            (&b"2:ok,03:abc,"[..], NetstringError::LeadingZero),
            (b"2:ok,x", NetstringError::NoLength { found: b'x' }),
            (b"2:ok,2:ok;2:no,", NetstringError::NoComma { found: b';' }),
            (b"2:ok,11", NetstringError::TooLong { limit: 10 }),
            (b"2:ok,99999999999999999999999999999999", NetstringError::TooLong { limit: 10 }),
        ] {
            let got = Got::default();
            let parser = NetstringParser::new().max_length(10);
            let (_, raw) = world.accept_one(Frames::with_parser(Session::new(&got), parser));
            raw.write(bytes);
            world.until(|| got.is_lost());
            assert_eq!(got.failure::<NetstringError>(), expected);
            assert_eq!(got.frames.borrow()[0], b"ok");
        }
    }

    fn m08_also_if_the_protocol_forgives_it(world: &World) {
        let got = Got::default();
        let refused = Rc::new(Cell::new(0));
        let count = Rc::clone(&refused);
        let session = Session::new(&got).on_refused(move |transport, _| {
            count.set(count.get() + 1);
            transport.write("what?");
        });
        let (_, raw) = world.accept_one(Frames::with_parser(session, NetstringParser::new()));
        raw.write(b"2:ok,2:ok;2:no,");
        assert_eq!(world.read(&raw, 5), b"what?");
        world.until(|| raw.is_finished() || raw.is_reset());
        raw.close();
        world.until(|| got.is_lost());
        assert_eq!((got.count(), refused.get()), (1, 1));
        assert!(!matches!(got.lost.borrow().as_ref().expect("a loss").reason(), Reason::Failed(_)));
    }
}
