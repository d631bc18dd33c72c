//! Protocols of lines.

use super::{Feed, LineParser, LineTooLong};
use crate::{Lost, OnEof, Protocol, Transport};

/// A protocol that gets lines instead of bytes, once it is wrapped: `Lines(Session)`.
///
/// Pausing the transport inside one of these methods stops the lines at once, and resuming goes on with those
/// that were held back, before any fresh bytes. After a close or an abort there is no further line, and after
/// [`set_protocol`](Transport::set_protocol) the bytes behind the line go to the successor.
pub trait LineProtocol: 'static {
    /// A connection exists. It comes before everything else.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// A line arrived; it comes without its delimiter.
    fn line_received(&mut self, transport: &Transport, line: &[u8]);

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

    /// The protocol inside.
    pub fn get_mut(&mut self) -> &mut P {
        &mut self.protocol
    }
}

impl<P: LineProtocol> Protocol for Lines<P> {
    fn connection_made(&mut self, transport: &Transport) {
        self.protocol.connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        let mut input = data;
        // A line's handler may pause, close, or name a successor; what is left then waits for whoever reads next.
        while transport.is_reading() {
            match self.parser.next(&mut input) {
                Ok(Some(line)) => self.protocol.line_received(transport, line),
                Ok(None) => return,
                Err(error) => self.protocol.line_too_long(transport, error),
            }
        }
        transport.unread(input);
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

    /// The start of a line goes to the successor.
    fn replaced(&mut self) -> Vec<u8> {
        self.parser.take_rest()
    }
}
