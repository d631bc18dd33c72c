//! An async fn where a protocol is asked for.

use std::panic::Location;

use marline_reactor::{Addresses, Handle};

use super::protocol::StreamProtocol;
use super::stream::Stream;
use crate::local::Local;
use crate::task::detach_at;

/// Makes a factory of protocols of an async function: for [`Handle::listen`], [`Handle::connect`] and
/// [`serve`](marline_reactor::serve). Each connection's conversation is a task of the loop, with the connection as its
/// [`Stream`].
///
/// The task goes on when the connection is lost, until it notices. An `Err` of it is reported as that of
/// [`spawn`](crate::spawn()) is when nobody waits, with the place where `conversation` was called. If `talk` itself panics,
/// before there is a future, the connection is refused. It can ask its stream for both addresses already. The future is polled
/// when the connection is made; if it never is, because the handshake of a [filter](marline_reactor::filter) failed, it is
/// dropped.
///
/// ```no_run
/// use marline_tasks::{Stream, conversation, copy};
///
/// async fn echo(stream: Stream) -> std::io::Result<u64> {
///     copy(&stream, &stream).await
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     marline_reactor::serve("tcp://127.0.0.1:8000", conversation(echo))
/// }
/// ```
#[track_caller]
pub fn conversation<F, T>(talk: F) -> impl FnMut(&Addresses) -> Option<StreamProtocol> + use<F, T> + 'static
where
    F: FnMut(Stream) -> T + 'static,
    T: Future + 'static,
    T::Output: 'static,
{
    conversation_at(talk, Location::caller())
}

/// As [`conversation`], called at `place`.
pub(crate) fn conversation_at<F, T>(
    mut talk: F,
    place: &'static Location<'static>,
) -> impl FnMut(&Addresses) -> Option<StreamProtocol> + use<F, T> + 'static
where
    F: FnMut(Stream) -> T + 'static,
    T: Future + 'static,
    T::Output: 'static,
{
    move |addresses: &Addresses| {
        let handle = Handle::current().ok()?;
        let local = Local::of(&handle)?;
        let (protocol, stream) = StreamProtocol::with_stream(&local, handle.remote(), None);
        let expected = local.streams.expect(stream.port.door.key(), addresses);
        let talk = talk(stream);
        drop(expected);
        Some(protocol.when_made(move |_| detach_at(&handle, talk, place)))
    }
}
