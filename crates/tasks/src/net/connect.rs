//! Making a connection.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use marline_reactor::{ConnectError, Connecting, Endpoint, EndpointError, Handle};

use super::protocol::StreamProtocol;
use super::stream::Stream;
use crate::deferred::{Deferred, deferred};
use crate::local::Local;

/// The future of [`Stream::connect`]. The attempt begins when it is made, not when it is polled.
#[must_use = "futures do nothing unless awaited"]
pub struct Connect {
    outcome: Deferred<Result<Stream, ConnectError>>,
    connecting: Option<Connecting>,
}

impl Connect {
    pub(super) fn new(endpoint: Result<Endpoint, EndpointError>) -> Self {
        let (resolver, outcome) = deferred();
        let loop_here = Handle::current().ok().and_then(|handle| Some((Local::of(&handle)?, handle)));
        let Some((local, handle)) = loop_here else {
            drop(resolver.resolve(Err(ConnectError::Over)));
            return Self { outcome, connecting: None };
        };
        // It exists before the connection does: whatever becomes of the attempt, its drop tidies up.
        let (protocol, stream) = StreamProtocol::with_stream(&local, handle.remote(), None);
        let connecting = handle.connect(
            endpoint,
            move |_| protocol,
            move |made| {
                drop(resolver.resolve(made.map(|_| stream)));
            },
        );
        Self { outcome, connecting: Some(connecting) }
    }
}

impl Future for Connect {
    type Output = Result<Stream, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.outcome).poll(context);
        polled.map(|outcome| outcome.unwrap_or(Err(ConnectError::Over)))
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        if let Some(connecting) = &self.connecting {
            connecting.cancel();
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}
