//! Protocols of frames, and what drives a parser over a connection for them.

use std::os::fd::OwnedFd;

use super::Feed;
use crate::{Lost, OnEof, Protocol, Transport};

/// A protocol that gets what a parser finds instead of bytes, once it is wrapped in [`Frames`](struct@Frames).
///
/// Pausing the transport inside one of these methods stops the frames at once, and resuming goes on with those
/// that were held back, before any fresh bytes. After a close or an abort there is no further frame, and after
/// [`set_protocol`](Transport::set_protocol) the bytes behind the frame go to the successor.
///
/// ```
/// use marline_reactor::framing::{Encode, FrameProtocol, Frames, Netstring, NetstringParser};
/// use marline_reactor::{Protocol, Transport, testing::Recorder};
///
/// struct Reverse;
///
/// impl FrameProtocol for Reverse {
///     type Parser = NetstringParser;
///
///     fn frame_received(&mut self, transport: &Transport, frame: &[u8]) {
///         let reversed: Vec<u8> = frame.iter().rev().copied().collect();
///         let Ok(bytes) = Netstring.to_bytes(&reversed);
///         transport.write_owned(bytes);
///     }
/// }
///
/// let (recorder, mut protocol) = (Recorder::new(), Frames(Reverse));
/// protocol.data_received(recorder.transport(), b"3:abc,4:de");
/// protocol.data_received(recorder.transport(), b"fg,");
/// assert_eq!(recorder.written(), b"3:cba,4:gfed,");
/// ```
pub trait FrameProtocol: 'static {
    /// What finds the frames: one of this crate's, or a program's own.
    type Parser: Feed + 'static;

    /// A connection exists. It comes before everything else.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// A frame arrived.
    fn frame_received(&mut self, transport: &Transport, frame: <Self::Parser as Feed>::Frame<'_>);

    /// A frame arrived, and so did what comes behind it. By default that stays where it is, and
    /// [`frame_received`](Self::frame_received) is called; a protocol that wants to take it out overrides this method.
    fn frame_received_with_rest(
        &mut self,
        transport: &Transport,
        frame: <Self::Parser as Feed>::Frame<'_>,
        rest: &mut Rest<'_>,
    ) {
        let _ = rest;
        self.frame_received(transport, frame);
    }

    /// A descriptor came, no later than the byte that it was sent with and so before the frame that has this byte: see
    /// [`Protocol::descriptor_received`]. By default it is closed.
    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        let _ = (transport, descriptor);
    }

    /// What arrived is not acceptable. By default the connection fails with the error. A protocol that goes on instead
    /// gets the frames that follow; after an error which leaves the parser [broken](Feed::is_broken) there are none, and
    /// the connection is closed in any case, unless another protocol takes over.
    fn frame_refused(&mut self, transport: &Transport, error: <Self::Parser as Feed>::Error) {
        transport.fail(error);
    }

    /// Whether the bytes that follow are no frames, and go to [`raw_received`](Self::raw_received) as they come. It is
    /// asked whenever bytes are at hand, so also after each frame.
    fn is_raw(&self) -> bool {
        false
    }

    /// Bytes came while [`is_raw`](Self::is_raw), at least one. To go on with frames in the middle of them, give back what
    /// is behind: `transport.unread(&data[used..])`.
    fn raw_received(&mut self, transport: &Transport, data: &[u8]) {
        let _ = (transport, data);
    }

    /// The peer ended its direction, with these bytes behind the last frame. By default our side ends too.
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

    /// Everything written was handed to the system: see [`Protocol::drained`].
    fn drained(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// The peer ended the connection while reading is paused: see [`Protocol::peer_closed`].
    fn peer_closed(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// All filters that were pushed are established: see [`Protocol::filter_established`].
    fn filter_established(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// The connection is gone. Nothing comes after.
    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let _ = (transport, lost);
    }
}

/// What was received behind a frame, and not looked at yet.
#[derive(Debug)]
pub struct Rest<'a> {
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    /// The bytes, which stay where they are.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Takes the bytes out: neither this protocol nor a successor gets them any more.
    #[must_use = "nobody else gets these bytes any more"]
    pub fn take(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }
}

/// Makes a [`Protocol`] of a [`FrameProtocol`]: drives its parser over a connection.
///
/// The parser holds a frame that is not complete, and no more; all other bytes stay with the connection.
#[derive(Debug)]
pub struct Frames<P: FrameProtocol> {
    protocol: P,
    parser: P::Parser,
}

/// Wraps a protocol of frames. [`Frames::with_parser`] is for parsers that have no default, or with other limits.
#[allow(non_snake_case)]
pub fn Frames<P: FrameProtocol<Parser: Default>>(protocol: P) -> Frames<P> {
    Frames::with_parser(protocol, P::Parser::default())
}

impl<P: FrameProtocol> Frames<P> {
    /// Wraps a protocol whose frames `parser` finds. What that has kept is given to the connection, and comes first.
    pub const fn with_parser(protocol: P, parser: P::Parser) -> Self {
        Self { protocol, parser }
    }

    /// The protocol inside.
    pub const fn get_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    fn refuse(&mut self, transport: &Transport, error: <P::Parser as Feed>::Error) {
        self.protocol.frame_refused(transport, error);
        if self.parser.is_broken() && !transport.is_handed_over() {
            transport.close();
        }
    }

    /// If the parser has the start of a frame, that comes first: both go back, and are delivered again as one.
    fn deliver_raw(&mut self, transport: &Transport, data: &[u8]) {
        let kept = self.parser.take_rest();
        if !kept.is_empty() {
            transport.unread(data);
            transport.unread(&kept);
        } else if !data.is_empty() {
            self.protocol.raw_received(transport, data);
        }
    }
}

impl<P: FrameProtocol> Protocol for Frames<P> {
    fn connection_made(&mut self, transport: &Transport) {
        transport.unread(&self.parser.take_rest());
        self.protocol.connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        let mut rest = Rest { bytes: data };
        // A frame's handler may pause, close, or name a successor; what is left then waits for whoever reads next.
        while transport.is_reading() {
            if self.protocol.is_raw() {
                return self.deliver_raw(transport, rest.bytes);
            }
            let error = match self.parser.next(&mut rest.bytes) {
                Ok(Some(frame)) => {
                    self.protocol.frame_received_with_rest(transport, frame, &mut rest);
                    continue;
                }
                Ok(None) => return,
                Err(error) => error,
            };
            self.refuse(transport, error);
        }
        transport.unread(rest.bytes);
    }

    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        self.protocol.descriptor_received(transport, descriptor);
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

    fn drained(&mut self, transport: &Transport) {
        self.protocol.drained(transport);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.protocol.peer_closed(transport);
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.protocol.filter_established(transport);
    }

    /// The start of a frame is the filter's.
    fn give_back(&mut self) -> Vec<u8> {
        self.parser.take_rest()
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.protocol.connection_lost(transport, lost);
    }

    /// The start of a frame goes to the successor.
    fn replaced(&mut self) -> Vec<u8> {
        self.parser.take_rest()
    }
}
