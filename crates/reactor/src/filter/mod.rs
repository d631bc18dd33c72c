//! Filters: what stands between a protocol and its connection, and does no I/O of its own.
//!
//! TLS is one, so are compression, the header of a proxy, the handshake of a tunnel. A filter gets the bytes that came
//! and makes of them those that the protocol reads; it gets the bytes that the protocol wrote and makes of them those that
//! go out. The loop does everything else: it receives and sends, keeps the flow control of all layers one, counts what is
//! not sent, lets deadlines pass and contains panics. So a filter works over every transport, and over other filters.
//!
//! * [`Filter`] is the interface, [`Flow`] what a filter asks of the loop, [`Output`] the room for what the protocol reads.
//! * [`Transport::push_filter`](crate::Transport::push_filter) puts one in place, on a connection at any time.
//! * [`connect`] and [`listen`] put filters in place before the protocol hears of its connection.
//! * An [`EndpointKind`](crate::EndpointKind) gives one a scheme, such as `tls://`.

mod begin;
mod error;
mod flow;
mod output;
mod transport;

pub(crate) use begin::Stage;
pub use begin::{connect, listen};
pub use error::{FilterError, PushFilterError, ReadAhead, ReadAheadRefused};
pub use flow::Flow;
pub(crate) use flow::{AT_ONCE, Bits, Down, SendNow, State};
pub use output::Output;

use std::io::IoSlice;

/// Bytes in, bytes out: see the [module](self).
///
/// Every method may [send](Flow::send) to the peer, and may fail, which ends the connection: what was sent until then (an
/// alert, say) still goes out, and the protocol gets the error as the [reason](crate::Reason) of its `connection_lost`. No
/// method may block, and none is called inside another. They are called from the loop, never on the stack of a call that the
/// program made.
///
/// Until a filter is [established](Flow::established) the protocol neither gets bytes nor are any taken from it: what it
/// writes waits. Then its [`filter_established`](crate::Protocol::filter_established) is called. While the protocol has
/// paused reading, a filter that is established gets nothing either; one that is not goes on. A connection that is closed
/// before its filters are established sends what was written before they came, and nothing else; one whose peer ends first is
/// [truncated](FilterError::truncated).
///
/// ```
/// use marline_reactor::filter::{Filter, FilterError, Flow, Output};
/// use std::io::IoSlice;
///
/// /// Hides bytes from nobody.
/// struct Rot13;
///
/// fn turn(byte: u8) -> u8 {
///     match byte {
///         b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
///         b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
///         other => other,
///     }
/// }
///
/// impl Filter for Rot13 {
///     fn inbound(&mut self, _: &mut Flow<'_>, input: &[u8], output: &mut Output<'_>) -> Result<usize, FilterError> {
///         let count = output.push(input);
///         output.bytes_mut().iter_mut().rev().take(count).for_each(|byte| *byte = turn(*byte));
///         Ok(count)
///     }
///
///     fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
///         let turned: Vec<u8> = input.iter().flat_map(|part| part.iter().copied().map(turn)).collect();
///         flow.send(&turned);
///         Ok(turned.len())
///     }
/// }
/// ```
pub trait Filter: 'static {
    /// It is in place. A filter with a handshake begins it here, and says later that it is
    /// [established](Flow::established); by default it is so at once.
    ///
    /// # Errors
    ///
    /// What makes it useless.
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.established();
        Ok(())
    }

    /// Bytes came from below, and there is room for what they become. Answers how many of them it is done with.
    ///
    /// What it leaves is shown again: with more room if the output was full, otherwise with more bytes behind it. While it
    /// fills the output it is called again, also with no new bytes, so that it can keep a backlog of its own; if it leaves room,
    /// it has nothing more until bytes come. The room may be none at all, and is none until it is established. After
    /// [`finish`](Flow::finish) it is not called again.
    ///
    /// The loop keeps what it leaves, however much that gets: a filter that waits for more sets itself a limit.
    ///
    /// # Errors
    ///
    /// If the bytes are not acceptable. What was put into `output` by then, this time too, is still handed over first.
    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError>;

    /// The peer's direction ended below, and everything that came before was shown. By default it [ends](Flow::end) above too.
    /// A filter with a handshake fails here as long as it is not established: nobody could be told of an end yet, and the
    /// connection would stay.
    ///
    /// # Errors
    ///
    /// If that is not how it should have ended: [`FilterError::truncated`].
    fn inbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.end();
        Ok(())
    }

    /// Bytes that were written above, at least one, in parts. Answers how many of them it is done with; what it leaves is
    /// shown again with the next flush. It is called when the layers below take bytes, and for a bounded amount each time;
    /// never before it is established, nor after [`finish`](Flow::finish).
    ///
    /// # Errors
    ///
    /// What keeps it from sending them.
    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError>;

    /// Whether [`outbound`](Self::outbound) may run within the program's call of `write`, where a large piece of bytes is the
    /// first thing to send: that saves a copy of it. By default not, as a filter may touch what the program has borrowed there.
    fn takes_at_once(&self) -> bool {
        false
    }

    /// Our direction ended above (`write_eof`), and everything before was taken. By default it [ends below](Flow::shut) too.
    ///
    /// # Errors
    ///
    /// What keeps it from saying so.
    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.shut();
        Ok(())
    }

    /// The connection closes, and everything written was taken. A filter that takes its leave of the peer says when it is
    /// [done](Flow::closed); until then bytes that come are still shown to it, and what it makes of them is dropped. By
    /// default it is done at once.
    ///
    /// # Errors
    ///
    /// What keeps it from closing. The connection closes then without more ado.
    fn close(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.closed();
        Ok(())
    }

    /// The [deadline](Flow::set_deadline) has passed. There is none any more then; a filter that is taken out has none
    /// either, and being established changes nothing about it.
    ///
    /// # Errors
    ///
    /// [`FilterError::timeout`], if that is the end.
    fn deadline(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        let _ = flow;
        Ok(())
    }
}

impl Filter for Box<dyn Filter> {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        (**self).start(flow)
    }

    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        (**self).inbound(flow, input, output)
    }

    fn inbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        (**self).inbound_end(flow)
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        (**self).outbound(flow, input)
    }

    fn takes_at_once(&self) -> bool {
        (**self).takes_at_once()
    }

    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        (**self).outbound_end(flow)
    }

    fn close(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        (**self).close(flow)
    }

    fn deadline(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        (**self).deadline(flow)
    }
}
