//! A connection passes from a callback protocol to a stream, and back.

use std::fmt;
use std::io;
use std::panic::Location;

use marline_reactor::{Protocol, Transport};

use super::protocol::{StreamProtocol, restore_reading};
use super::state::Phase;
use super::stream::Stream;
use crate::error::WrongThread;
use crate::local::Local;

impl Stream {
    /// Takes a connection over from its callback protocol, which is dropped by the loop and hears nothing any more:
    /// [`set_protocol`](Transport::set_protocol), with a stream as the new protocol. It takes effect when the running
    /// callback of this connection returns, otherwise at once. The stream can be used right away, and waits until then.
    ///
    /// It reads first what the old protocol [gives back](Protocol::replaced) (the start of a line that a parser holds, the
    /// lines that were not delivered yet), then what is fresh. What was written and not sent stays written. A peer's end that
    /// the old protocol was told of is told again. If reading was paused, it is paused again for whoever comes after the
    /// stream, also if the transport was told to resume meanwhile: reading belongs to the stream then.
    ///
    /// # Errors
    ///
    /// If the connection is gone, or the loop has ended. One that is closing becomes a stream that reads its end.
    ///
    /// ```
    /// use marline_reactor::{Protocol, Transport};
    /// use marline_tasks::{Stream, copy, spawn};
    ///
    /// /// Waits for one byte, and leaves the rest to a task.
    /// struct Greeting;
    ///
    /// impl Protocol for Greeting {
    ///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
    ///         if let Ok(stream) = Stream::from_transport_with(transport, &data[1..]) {
    ///             spawn(async move { copy(&stream, &stream).await });
    ///         }
    ///     }
    /// }
    /// ```
    pub fn from_transport(transport: &Transport) -> Result<Self, FromTransportError> {
        Self::from_transport_with(transport, &[])
    }

    /// As [`from_transport`](Self::from_transport); the stream reads `unread` after what the old protocol gives back and
    /// before what is fresh.
    ///
    /// # Errors
    ///
    /// As [`from_transport`](Self::from_transport).
    pub fn from_transport_with(transport: &Transport, unread: &[u8]) -> Result<Self, FromTransportError> {
        let handle = transport.handle();
        let local = Local::of(&handle).ok_or(FromTransportError(()))?;
        let (protocol, stream) =
            StreamProtocol::with_stream(&local, handle.remote(), Some(transport.clone()));
        match transport.set_protocol(protocol, unread) {
            Ok(()) => Ok(stream),
            Err(_) => Err(FromTransportError(())),
        }
    }

    /// Hands the connection to a callback protocol, from the loop and not during this call: it gets `connection_made`, then
    /// what the stream had received and the program not read (also what was taken by `AsyncBufRead` and not consumed), then
    /// what is fresh.
    ///
    /// What was written and not sent stays written, and the protocol is told to pause if that is too much. It is told of
    /// the peer's end, also if the stream has read that. The pauses of the stream's own reading end with it; if the
    /// program had paused reading before the stream took over, it still is. Whoever still waits for the stream, which is
    /// possible through its traits only, is answered with [`HandedOver`](crate::HandedOver).
    ///
    /// # Errors
    ///
    /// Gives the stream and the protocol back if the connection is gone; what was received can still be read. Also on the
    /// wrong thread.
    ///
    /// ```
    /// use futures::io::{AsyncBufReadExt, AsyncWriteExt};
    /// use marline_reactor::Transport;
    /// use marline_tasks::Stream;
    ///
    /// /// Logs in with async code, then echoes with a callback.
    /// async fn session(mut stream: Stream) -> std::io::Result<()> {
    ///     let mut name = String::new();
    ///     stream.read_line(&mut name).await?;
    ///     stream.write_all(format!("welcome, {name}").as_bytes()).await?;
    ///     stream.into_protocol(|transport: &Transport, data: &[u8]| transport.write(data))?;
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn into_protocol<P: Protocol>(mut self, protocol: P) -> Result<Transport, IntoProtocolError<P>> {
        let door = self.port.door.duplicate();
        let Some(local) = Local::find(&door.remote) else {
            let wrong_thread = Some(WrongThread::of("a stream", &door.remote, Some(Location::caller())));
            return Err(IntoProtocolError { stream: self, protocol, wrong_thread });
        };
        let taken = self.port.take_back();
        let left = local.streams.with(door.key(), |state| {
            state.received.put_front(taken);
            let before = (state.phase, state.was_paused);
            let transport = state.transport.clone()?;
            state.phase = Phase::Leaving;
            Some((transport, before))
        });
        let Some((transport, (phase, was_paused))) = left.flatten() else {
            return Err(IntoProtocolError { stream: self, protocol, wrong_thread: None });
        };
        if let Err(refused) = transport.set_protocol(protocol, &[]) {
            local.streams.with(door.key(), |state| state.phase = phase);
            let protocol = refused.into_inner();
            return Err(IntoProtocolError { stream: self, protocol, wrong_thread: None });
        }
        if phase == Phase::InPlace {
            restore_reading(&transport, was_paused);
        }
        Ok(transport)
    }

    /// Gives the stream up and keeps its connection, for whatever sets a protocol itself: [`relay`](marline_reactor::relay()),
    /// or [`set_protocol`](Transport::set_protocol). The bytes that the program did not read go to that protocol first, as with
    /// [`into_protocol`](Self::into_protocol).
    ///
    /// Until then the connection reads nothing, but what is on its way, and stays open: if no protocol is to come, close it.
    ///
    /// # Errors
    ///
    /// Gives the stream back if the connection is gone, or not there yet; what was received can still be read. Also on the
    /// wrong thread.
    ///
    /// ```
    /// use marline_reactor::relay;
    /// use marline_tasks::Stream;
    ///
    /// /// Joins two connections, and leaves them to the loop.
    /// fn join(left: Stream, right: Stream) -> std::io::Result<()> {
    ///     relay(&left.into_transport()?, &right.into_transport()?)
    /// }
    /// ```
    #[track_caller]
    pub fn into_transport(mut self) -> Result<Transport, IntoTransportError> {
        let door = self.port.door.duplicate();
        let Some(local) = Local::find(&door.remote) else {
            let wrong_thread = Some(WrongThread::of("a stream", &door.remote, Some(Location::caller())));
            return Err(IntoTransportError { stream: self, wrong_thread });
        };
        let taken = self.port.take_back();
        let left = local.streams.with(door.key(), |state| {
            state.received.put_front(taken);
            let transport = state.transport.clone().filter(|transport| !transport.is_lost())?;
            let before = std::mem::replace(&mut state.phase, Phase::Released);
            Some((transport, before))
        });
        let Some((transport, before)) = left.flatten() else {
            return Err(IntoTransportError { stream: self, wrong_thread: None });
        };
        // A protocol that is not in place yet pauses when it is.
        if before == Phase::InPlace {
            transport.pause_reading();
        }
        Ok(transport)
    }
}

/// A stream could not become a transport, because its connection is gone or not there yet, or this is not its loop's
/// thread. Gives it back.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.reason())]
pub struct IntoTransportError {
    stream: Stream,
    wrong_thread: Option<WrongThread>,
}

impl IntoTransportError {
    /// The stream.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether the stream's loop does not run on this thread, or has ended.
    #[must_use]
    pub fn is_wrong_thread(&self) -> bool {
        self.wrong_thread.is_some()
    }

    fn reason(&self) -> String {
        self.wrong_thread.map_or_else(|| "the stream has no connection".to_owned(), |error| error.to_string())
    }
}

/// For programs that pass errors on: the stream, and with it the connection, is dropped.
impl From<IntoTransportError> for io::Error {
    fn from(error: IntoTransportError) -> Self {
        let kind = match error.wrong_thread {
            Some(_) => io::ErrorKind::Unsupported,
            None => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error.reason())
    }
}

/// A transport could not become a stream, because its connection is gone or its loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct FromTransportError(());

impl From<FromTransportError> for io::Error {
    fn from(error: FromTransportError) -> Self {
        Self::new(io::ErrorKind::NotConnected, error)
    }
}

/// A stream could not pass to a protocol, because its connection is gone or this is not its loop's thread. Gives both
/// back.
pub struct IntoProtocolError<P> {
    stream: Stream,
    protocol: P,
    wrong_thread: Option<WrongThread>,
}

impl<P> IntoProtocolError<P> {
    /// The stream and the protocol.
    #[must_use]
    pub fn into_parts(self) -> (Stream, P) {
        (self.stream, self.protocol)
    }

    /// Whether the stream's loop does not run on this thread, or has ended.
    #[must_use]
    pub fn is_wrong_thread(&self) -> bool {
        self.wrong_thread.is_some()
    }
}

impl<P> fmt::Debug for IntoProtocolError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("IntoProtocolError");
        text.field("stream", &self.stream)
            .field("is_wrong_thread", &self.is_wrong_thread())
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Display for IntoProtocolError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wrong_thread {
            Some(error) => error.fmt(f),
            None => f.write_str("the connection of the stream is gone"),
        }
    }
}

impl<P> std::error::Error for IntoProtocolError<P> {}

/// For programs that pass errors on: the stream, and with it the connection, is dropped.
impl<P> From<IntoProtocolError<P>> for io::Error {
    fn from(error: IntoProtocolError<P>) -> Self {
        let kind = match error.wrong_thread {
            Some(_) => io::ErrorKind::Unsupported,
            None => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error.to_string())
    }
}
