//! TLS on a stream of the async style that stands.

use std::io;
use std::rc::Rc;

use marline_reactor::filter::ReadAhead;
use marline_tasks::Stream;

use crate::filter::TlsFilter;
use crate::info::TlsInfo;
use crate::start_tls::StartTls;

/// What TLS adds to a [`Stream`].
///
/// ```
/// use futures::io::AsyncBufReadExt;
/// use marline_reactor::filter::ReadAhead;
/// use marline_tasks::Stream;
/// use marline_tls::{ClientTls, StreamTls};
///
/// /// The client's side of a protocol that begins in plain text.
/// async fn upgrade(stream: &mut Stream, client: &ClientTls) -> std::io::Result<()> {
///     stream.write_all(b"STARTTLS\r\n").await?;
///     let mut answer = String::new();
///     stream.read_line(&mut answer).await?;
///     let filter = client.filter("example.org").map_err(std::io::Error::other)?;
///     // The server has to wait for our handshake, so bytes that are here already are somebody else's.
///     stream.start_tls(filter, ReadAhead::Refuse).await?;
///     println!("{:?}", stream.tls());
///     Ok(())
/// }
/// ```
pub trait StreamTls {
    /// Begins a handshake on a connection, as the client or the server that the filter is for
    /// ([`ClientTls::filter`](crate::ClientTls::filter), [`ServerTls::filter`](crate::ServerTls::filter)), and waits until it
    /// is complete. What was written before leaves as it is, what is written afterwards is encrypted. What the program did not
    /// read is fed to TLS or ends the connection, as `read_ahead` says.
    ///
    /// # Errors
    ///
    /// Why the handshake failed, with a [`TlsError`](crate::TlsError) inside if it is that; or how the connection ended.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing: the handshake goes on, and what is written waits for its end.
    #[track_caller]
    fn start_tls(
        &mut self,
        filter: TlsFilter,
        read_ahead: ReadAhead,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync;

    /// What was agreed upon in the last handshake; `None` before, on connections without TLS, and on the wrong thread.
    fn tls(&self) -> Option<Rc<TlsInfo>>;
}

impl StreamTls for Stream {
    #[track_caller]
    fn start_tls(
        &mut self,
        filter: TlsFilter,
        read_ahead: ReadAhead,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync {
        self.push_filter(filter, read_ahead)
    }

    fn tls(&self) -> Option<Rc<TlsInfo>> {
        self.transport().ok()?.tls()
    }
}
