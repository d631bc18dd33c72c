//! Protocols of lines.

use std::os::fd::OwnedFd;

use super::{FrameProtocol, Frames, LineParser, LineTooLong, Rest};
use crate::{Lost, OnEof, Transport};

/// A protocol that gets lines instead of bytes, once it is wrapped: `Lines(Session)`.
///
/// Pausing the transport inside one of these methods stops the lines at once, and resuming goes on with those
/// that were held back, before any fresh bytes. After a close or an abort there is no further line, and after
/// [`set_protocol`](Transport::set_protocol) the bytes behind the line go to the successor.
///
/// ```
/// use marline_reactor::framing::{LineProtocol, Lines};
/// use marline_reactor::{Protocol, Transport, testing::Recorder};
///
/// /// Takes lines, each with the length of the body that follows it as it is.
/// #[derive(Default)]
/// struct Bodies {
///     left: usize,
/// }
///
/// impl LineProtocol for Bodies {
///     fn line_received(&mut self, transport: &Transport, line: &[u8]) {
///         self.left = line.len();
///         transport.write("[");
///     }
///
///     fn is_raw(&self) -> bool {
///         self.left > 0
///     }
///
///     fn raw_received(&mut self, transport: &Transport, data: &[u8]) {
///         let (body, behind) = data.split_at(self.left.min(data.len()));
///         self.left -= body.len();
///         transport.write(body);
///         transport.write(if self.left == 0 { "]" } else { "" });
///         transport.unread(behind);
///     }
/// }
///
/// let recorder = Recorder::new();
/// recorder.transport().set_protocol(Lines(Bodies::default()), b"ii\na\niiii\nbcde")?;
/// assert_eq!(recorder.written(), b"[a\n][bcde]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LineProtocol: 'static {
    /// A connection exists. It comes before everything else.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// A line arrived; it comes without its delimiter.
    fn line_received(&mut self, transport: &Transport, line: &[u8]);

    /// A line arrived, and so did what comes behind it. By default that stays where it is, and
    /// [`line_received`](Self::line_received) is called; a protocol that wants to take it out overrides this method.
    fn line_received_with_rest(&mut self, transport: &Transport, line: &[u8], rest: &mut Rest<'_>) {
        let _ = rest;
        self.line_received(transport, line);
    }

    /// A descriptor came, no later than the byte that it was sent with and so before the line that has this byte: see
    /// [`Protocol::descriptor_received`](crate::Protocol::descriptor_received). By default it is closed.
    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        let _ = (transport, descriptor);
    }

    /// A line was longer than the parser allows. By default the connection fails with the error. A protocol that
    /// goes on instead gets the lines that follow; what was too long is dropped.
    fn line_too_long(&mut self, transport: &Transport, error: LineTooLong) {
        transport.fail(error);
    }

    /// Whether the bytes that follow are no lines, and go to [`raw_received`](Self::raw_received) as they come. It is
    /// asked whenever bytes are at hand, so also after each line.
    fn is_raw(&self) -> bool {
        false
    }

    /// Bytes came while [`is_raw`](Self::is_raw), at least one. To go on with lines in the middle of them, give back what
    /// is behind: `transport.unread(&data[used..])`.
    fn raw_received(&mut self, transport: &Transport, data: &[u8]) {
        let _ = (transport, data);
    }

    /// The peer ended its direction, with these bytes behind the last delimiter. By default our side ends too.
    fn eof_received(&mut self, transport: &Transport, unfinished: &[u8]) -> OnEof {
        let _ = (transport, unfinished);
        OnEof::Close
    }

    /// More is buffered for sending than the high watermark allows.
    fn pause_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// What is buffered for sending fell to the low watermark.
    fn resume_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Everything written was handed to the system: see [`Protocol::drained`](crate::Protocol::drained).
    fn drained(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// The peer ended the connection while reading is paused: see [`Protocol::peer_closed`](crate::Protocol::peer_closed).
    fn peer_closed(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// All filters that were pushed are established: see
    /// [`Protocol::filter_established`](crate::Protocol::filter_established).
    fn filter_established(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// The connection is gone. Nothing comes after.
    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let _ = (transport, lost);
    }
}

/// Makes a [`Protocol`](crate::Protocol) of a [`LineProtocol`].
pub type Lines<P> = Frames<ByLine<P>>;

/// Wraps a protocol of lines that end with `\n` or `\r\n`, and have at most 16 384 bytes. [`Lines::with_parser`]
/// chooses otherwise.
///
/// ```
/// use marline_reactor::framing::{ByLine, LineParser, LineProtocol, Lines};
/// use marline_reactor::Transport;
///
/// struct Session;
///
/// impl LineProtocol for Session {
///     fn line_received(&mut self, transport: &Transport, line: &[u8]) {
///         transport.write([line, b"\n"].concat());
///     }
/// }
///
/// let usual: Lines<Session> = Lines(Session);
/// let short: Lines<Session> = Lines::with_parser(ByLine(Session), LineParser::new().max_length(80));
/// # drop((usual, short));
/// ```
#[allow(non_snake_case)]
pub const fn Lines<P: LineProtocol>(protocol: P) -> Lines<P> {
    Lines::with_parser(ByLine(protocol), LineParser::new())
}

/// A protocol of lines, as one of frames that a [`LineParser`] finds.
#[derive(Debug)]
pub struct ByLine<P>(pub P);

impl<P: LineProtocol> FrameProtocol for ByLine<P> {
    type Parser = LineParser;

    fn connection_made(&mut self, transport: &Transport) {
        self.0.connection_made(transport);
    }

    fn frame_received(&mut self, transport: &Transport, line: &[u8]) {
        self.0.line_received(transport, line);
    }

    fn frame_received_with_rest(&mut self, transport: &Transport, line: &[u8], rest: &mut Rest<'_>) {
        self.0.line_received_with_rest(transport, line, rest);
    }

    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        self.0.descriptor_received(transport, descriptor);
    }

    fn frame_refused(&mut self, transport: &Transport, error: LineTooLong) {
        self.0.line_too_long(transport, error);
    }

    fn is_raw(&self) -> bool {
        self.0.is_raw()
    }

    fn raw_received(&mut self, transport: &Transport, data: &[u8]) {
        self.0.raw_received(transport, data);
    }

    fn eof_received(&mut self, transport: &Transport, unfinished: &[u8]) -> OnEof {
        self.0.eof_received(transport, unfinished)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.0.pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.0.resume_writing(transport);
    }

    fn drained(&mut self, transport: &Transport) {
        self.0.drained(transport);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.0.peer_closed(transport);
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.0.filter_established(transport);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.0.connection_lost(transport, lost);
    }
}
