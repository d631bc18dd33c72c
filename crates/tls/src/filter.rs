//! TLS as a filter of a connection.

use std::fmt;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::filter::{Filter, FilterError, Flow, Output};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::error::TlsError;
use crate::info::TlsInfo;
use crate::session::Session;
use crate::timeouts::Timeouts;

/// TLS on one connection: [`ClientTls::filter`](crate::ClientTls::filter) and
/// [`ServerTls::filter`](crate::ServerTls::filter) make one.
///
/// * It is established when the handshake is complete. Then it [publishes](marline_reactor::Transport::published) a
///   [`TlsInfo`].
/// * A failure is a [`TlsError`], in [`Reason::Failed`](marline_reactor::Reason::Failed); the peer is sent the alert for it.
/// * `write_eof` sends close_notify and reading goes on, until the peer says the same. (One that speaks TLS 1.2 may answer by
///   ending the connection, as RFC 5246 wants it to.)
/// * `close` sends close_notify too, and waits for the peer's answer, or the end of its direction, no longer than the shutdown
///   timeout, nor without anything sent for longer than the connection's
///   [close timeout](marline_reactor::Transport::set_close_timeout).
/// * The end of the peer's direction without close_notify is [`Reason::Truncated`](marline_reactor::Reason::Truncated).
///
/// A connection takes a few KiB when it is idle: its keys, the peer's certificates, and up to 4 KiB of rustls's buffer.
/// While records come in it is one of them more, at most 16 KiB.
pub struct TlsFilter {
    /// It fails if the configuration is not one that rustls can begin with.
    session: Result<Session, Box<TlsError>>,
    timeouts: Timeouts,
    is_established: bool,
    is_closing: bool,
}

impl TlsFilter {
    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>, timeouts: Timeouts) -> Self {
        Self::new(ClientConnection::new(config, name).map(Connection::from), timeouts)
    }

    pub(crate) fn server(config: Arc<ServerConfig>, timeouts: Timeouts) -> Self {
        Self::new(ServerConnection::new(config).map(Connection::from), timeouts)
    }

    fn new(opened: Result<Connection, rustls::Error>, timeouts: Timeouts) -> Self {
        let session = opened.map(Session::new).map_err(|error| Box::new(TlsError::Handshake(error)));
        Self { session, timeouts, is_established: false, is_closing: false }
    }

    #[cfg(test)]
    pub(crate) fn into_session(self) -> Result<Session, TlsError> {
        self.session.map_err(|error| *error)
    }

    fn session(&mut self) -> Result<&mut Session, TlsError> {
        self.session.as_mut().map_err(|error| TlsError::clone(error))
    }

    /// Bytes came that may have completed the handshake, or ended the peer's direction.
    fn look(&mut self, flow: &mut Flow<'_>) -> Result<(), TlsError> {
        let session = self.session.as_mut().map_err(|error| TlsError::clone(error))?;
        if !self.is_established && !session.is_handshaking() {
            self.is_established = true;
            flow.publish(Rc::new(TlsInfo::new(Rc::clone(session.connection()))));
            flow.set_deadline(None);
            flow.established();
        }
        if let Some(failure) = session.take_last_failure() {
            return Err(failure);
        }
        if session.is_at_end() {
            match (self.is_established, self.is_closing) {
                (false, _) => return Err(TlsError::EndedInHandshake),
                (true, true) => flow.closed(),
                (true, false) => flow.end(),
            }
        }
        Ok(())
    }
}

impl Filter for TlsFilter {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.session()?.start(flow);
        flow.set_deadline(self.timeouts.handshake);
        Ok(())
    }

    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        let is_closing = self.is_closing;
        let session = self.session()?;
        let consumed = if is_closing {
            session.discard(input, flow)?
        } else {
            let received = session.receive(input, output.room(), flow)?;
            output.filled(received.filled);
            received.consumed
        };
        self.look(flow)?;
        Ok(consumed)
    }

    fn inbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        let (is_established, is_closing) = (self.is_established, self.is_closing);
        let session = self.session()?;
        if let Some(failure) = session.take_failure() {
            return Err(failure.into());
        }
        match (is_established, is_closing, session.peer_has_closed()) {
            (false, ..) => return Err(TlsError::EndedInHandshake.into()),
            (true, true, _) => flow.closed(),
            // This was said already, or will be when the rest of the plaintext was handed over.
            (true, false, true) => {}
            (true, false, false) => return Err(FilterError::truncated()),
        }
        Ok(())
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        Ok(self.session()?.send(input, flow)?)
    }

    fn takes_at_once(&self) -> bool {
        true
    }

    /// In TLS 1.3 the peer goes on. The direction below stays open too: what answers the peer's requests for new keys goes there.
    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.session()?.send_close_notify(flow);
        Ok(())
    }

    fn close(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.is_closing = true;
        flow.set_deadline(self.timeouts.shutdown);
        let session = self.session()?;
        session.send_close_notify(flow);
        session.discard(&[], flow)?;
        self.look(flow)?;
        Ok(())
    }

    fn deadline(&mut self, _: &mut Flow<'_>) -> Result<(), FilterError> {
        Err(FilterError::timeout())
    }
}

impl fmt::Debug for TlsFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFilter")
            .field("is_established", &self.is_established)
            .field("is_closing", &self.is_closing)
            .finish_non_exhaustive()
    }
}
