//! Protocols of lines.

use super::{Feed, LineParser, LineTooLong, Rest};
use crate::{Lost, OnEof, Protocol, Transport};

/// A protocol that gets lines instead of bytes, once it is wrapped: `Lines(Session)`.
///
/// Pausing the transport inside one of these methods stops the lines at once, and resuming goes on with those
/// that were held back, before any fresh bytes. After a close or an abort there is no further line.
pub trait LineProtocol: 'static {
    /// A connection exists. It comes before everything else.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// A line arrived; it comes without its delimiter.
    fn line_received(&mut self, transport: &Transport, line: &[u8]);

    /// A line arrived, and here is what arrived behind it. Write this method if some line gives the connection to
    /// another protocol: `transport.set_protocol(next, rest.take())`. By default it calls
    /// [`line_received`](Self::line_received) and leaves the rest alone, to be found as lines.
    fn line_received_with_rest(&mut self, transport: &Transport, line: &[u8], rest: &mut Rest<'_>) {
        let _ = rest;
        self.line_received(transport, line);
    }

    /// A line was longer than the parser allows. By default the connection fails with the error. A protocol that
    /// goes on instead gets the lines that follow; what was too long is dropped.
    fn line_too_long(&mut self, transport: &Transport, error: LineTooLong) {
        transport.fail(error);
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

    /// The connection is gone. Nothing comes after.
    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let _ = (transport, lost);
    }
}

/// Makes a [`Protocol`] of a [`LineProtocol`].
#[derive(Debug)]
pub struct Lines<P> {
    protocol: P,
    parser: LineParser,
}

/// Wraps a protocol of lines that end with `\n` or `\r\n`, and have at most 16 384 bytes. [`Lines::with_parser`]
/// chooses otherwise.
#[allow(non_snake_case)]
pub const fn Lines<P: LineProtocol>(protocol: P) -> Lines<P> {
    Lines::with_parser(protocol, LineParser::new())
}

impl<P: LineProtocol> Lines<P> {
    /// Wraps a protocol whose lines `parser` finds.
    pub const fn with_parser(protocol: P, parser: LineParser) -> Self {
        Self { protocol, parser }
    }

    /// Hands out lines for as long as the transport reads, and keeps the rest.
    fn hand_out(&mut self, transport: &Transport, data: &[u8]) {
        let mut input = data;
        while transport.is_reading() && !transport.is_closing() {
            match self.parser.next_and_kept(&mut input) {
                Ok(Some((line, kept))) => {
                    let mut rest = Rest::new(kept, input);
                    self.protocol.line_received_with_rest(transport, line, &mut rest);
                    if rest.was_taken() {
                        self.parser.clear();
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => self.protocol.line_too_long(transport, error),
            }
        }
        if transport.is_closing() {
            self.parser.clear();
        } else {
            self.parser.keep(input);
        }
    }
}

impl<P: LineProtocol> Protocol for Lines<P> {
    fn connection_made(&mut self, transport: &Transport) {
        self.protocol.connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.hand_out(transport, data);
    }

    fn reading_resumed(&mut self, transport: &Transport) {
        self.hand_out(transport, &[]);
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        let unfinished = self.parser.take_rest();
        self.protocol.eof_received(transport, &unfinished)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.protocol.pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.protocol.resume_writing(transport);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.protocol.connection_lost(transport, lost);
    }
}
