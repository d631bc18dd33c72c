//! Connections that have a filter from their beginning.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{Filter, ReadAhead};
use crate::address::Addresses;
use crate::connect::Connecting;
use crate::endpoint::{ConnectDone, ConnectFactory, Endpoint, IntoEndpoint, ListenFactory};
use crate::error::{ConnectError, ListenError};
use crate::lost::{Lost, Reason};
use crate::protocol::{Internal, Protocol};
use crate::reactor::Handle;
use crate::server::Server;
use crate::timer::Timer;
use crate::transport::Transport;

/// Connects, and has a filter in place before the protocol hears of the connection: its `connection_made` comes when the
/// filter is established. It is for whoever gives a filter a scheme ([`EndpointKind`](crate::EndpointKind)).
///
/// If the filter fails first, the protocol's only callback is `connection_lost`, and the outcome is
/// [`ConnectError::Lost`]. The endpoint's [timeout](crate::Endpoint::timeout) is for both, connecting and the filter's
/// negotiation. [`Connecting::cancel`] gives up until the outcome is certain, also while the filter negotiates.
///
/// ```
/// use marline_reactor::filter::{self, Filter, FilterError, Flow, Output};
/// use marline_reactor::{Addresses, ConnectDone, ConnectFactory, Connecting, EndpointKind, EndpointParts, Handle};
/// use std::io::IoSlice;
///
/// /// Says hello to the peer, and leaves.
/// struct Hello;
///
/// impl Filter for Hello {
///     fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
///         flow.send(b"HELO\r\n");
///         flow.finish();
///         Ok(())
///     }
///
///     fn inbound(&mut self, _: &mut Flow<'_>, _: &[u8], _: &mut Output<'_>) -> Result<usize, FilterError> {
///         Ok(0)
///     }
///
///     fn outbound(&mut self, _: &mut Flow<'_>, _: &[IoSlice<'_>]) -> Result<usize, FilterError> {
///         Ok(0)
///     }
/// }
///
/// /// `hello://host:port`
/// struct HelloKind;
///
/// impl EndpointKind for HelloKind {
///     fn connect(&self, handle: &Handle, parts: &EndpointParts, factory: ConnectFactory, done: ConnectDone) -> Connecting {
///         filter::connect(handle, format!("tcp:{}", parts.rest()), |_| Hello, factory, done)
///     }
/// }
/// ```
#[track_caller]
pub fn connect<F: Filter>(
    handle: &Handle,
    endpoint: impl IntoEndpoint,
    filter: impl FnOnce(&Addresses) -> F + 'static,
    factory: ConnectFactory,
    done: ConnectDone,
) -> Connecting {
    let endpoint = endpoint.into_endpoint();
    let stage = Rc::new(Stage {
        target: endpoint.as_ref().map_or_else(|_| String::new(), Endpoint::to_string),
        done: Cell::new(Some(done)),
        is_given_up: Cell::new(false),
        transport: RefCell::default(),
        deadline: RefCell::default(),
    });
    let timeout = endpoint.as_ref().ok().and_then(Endpoint::connect_timeout);
    if let Some(after) = timeout {
        let timed = Rc::downgrade(&stage);
        let expire = move || timed.upgrade().into_iter().for_each(|stage| stage.time_out(after));
        *stage.deadline.borrow_mut() = Some(handle.call_later(after, expire));
    }
    let (for_protocol, for_failure) = (Rc::clone(&stage), Rc::clone(&stage));
    let make = move |addresses: &Addresses| {
        let protocol = factory(addresses)?;
        Some(Box::new(Behind::new(Box::new(filter(addresses)), protocol, Some(for_protocol)))
            as Box<dyn Protocol>)
    };
    let connecting = handle.connect(endpoint, make, move |outcome| {
        // A connection that stands goes on in its protocol.
        let Err(error) = outcome else { return };
        for_failure.stop_the_clock();
        if let Some(done) = for_failure.done.take() {
            done(Err(error));
        }
    });
    connecting.followed_by(stage)
}

/// Listens, and has a filter in place before the protocol of each connection hears of it: its `connection_made` comes when
/// the filter is established. Connections that are not yet count for the [limit](crate::Endpoint::limit) of the server.
///
/// If the filter of a connection fails first, its protocol's only callback is `connection_lost`. The protocol is made when the
/// connection is accepted, with the addresses that it has then: a factory can refuse before the filter begins.
///
/// # Errors
///
/// Those of [`Handle::listen`].
pub fn listen<F: Filter>(
    handle: &Handle,
    endpoint: impl IntoEndpoint,
    mut filter: impl FnMut(&Addresses) -> F + 'static,
    mut factory: ListenFactory,
) -> Result<Server, ListenError> {
    handle.listen(endpoint, move |addresses: &Addresses| {
        let protocol = factory(addresses)?;
        Some(Box::new(Behind::new(Box::new(filter(addresses)), protocol, None)) as Box<dyn Protocol>)
    })
}

/// The part of connecting that follows when the connection below stands.
pub(crate) struct Stage {
    target: String,
    /// `None` once the outcome is certain.
    done: Cell<Option<ConnectDone>>,
    /// It was given up before the connection below stood, whose outcome is about to be told.
    is_given_up: Cell<bool>,
    /// Once the connection below stands.
    transport: RefCell<Option<Transport>>,
    /// The endpoint's limit, which is that of all stages.
    deadline: RefCell<Option<Timer>>,
}

impl Stage {
    /// Tells the outcome, from the loop.
    fn settle(&self, handle: &Handle, outcome: Result<Transport, ConnectError>) {
        drop(self.transport.borrow_mut().take());
        self.stop_the_clock();
        if let Some(done) = self.done.take() {
            handle.call_soon(move || done(outcome));
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        let done = self.done.take();
        let is_pending = done.is_some();
        self.done.set(done);
        is_pending && !self.is_given_up.get()
    }

    /// The connection below was given up.
    pub(crate) fn give_up(&self) {
        self.is_given_up.set(true);
    }

    /// Gives up: whether the outcome was open.
    pub(crate) fn cancel(&self) -> bool {
        self.abandon(ConnectError::Cancelled { target: self.target.clone() })
    }

    /// The time is up. If the connection below does not stand yet, that is told by itself.
    fn time_out(&self, after: Duration) {
        self.abandon(ConnectError::TimedOut { target: self.target.clone(), after });
    }

    fn abandon(&self, error: ConnectError) -> bool {
        let Some(transport) = self.transport.borrow_mut().take() else { return false };
        let is_pending = self.is_pending();
        if is_pending {
            self.settle(&transport.handle(), Err(error));
            transport.abort();
        }
        is_pending
    }

    fn stop_the_clock(&self) {
        let timer = self.deadline.borrow_mut().take();
        timer.into_iter().for_each(|timer| {
            timer.cancel();
        });
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("is_pending", &self.is_pending()).finish()
    }
}

/// Holds a connection for its protocol until the filter is established.
struct Behind {
    filter: Option<Box<dyn Filter>>,
    protocol: Option<Box<dyn Protocol>>,
    stage: Option<Rc<Stage>>,
}

impl Behind {
    fn new(filter: Box<dyn Filter>, protocol: Box<dyn Protocol>, stage: Option<Rc<Stage>>) -> Self {
        Self { filter: Some(filter), protocol: Some(protocol), stage }
    }
}

impl Protocol for Behind {
    fn connection_made(&mut self, transport: &Transport) {
        if let Some(stage) = &self.stage {
            *stage.transport.borrow_mut() = Some(transport.clone());
        }
        if let Some(filter) = self.filter.take() {
            if transport.push_filter(filter, ReadAhead::Feed).is_err() {
                transport.abort();
            }
        }
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        // Nothing comes before the filter is established, and after that it is the protocol's.
        transport.unread(data);
    }

    fn filter_established(&mut self, transport: &Transport) {
        let Some(protocol) = self.protocol.take() else { return };
        if transport.set_protocol(protocol, &[]).is_err() {
            return;
        }
        if let Some(stage) = self.stage.take() {
            // By then `connection_made` of the protocol has returned, and may have ended the connection.
            let handle = transport.handle();
            let (transport, later) = (transport.clone(), handle.clone());
            handle.call_soon(move || {
                let lost = later.shell().inspect(transport.key(), |connection| connection.loss());
                let outcome = match lost {
                    Some(None) => Ok(transport),
                    lost => {
                        let lost = lost.flatten().unwrap_or_else(|| Lost::new(Reason::Aborted, 0));
                        Err(ConnectError::Lost(lost))
                    }
                };
                stage.settle(&later, outcome);
            });
        }
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        if let Some(protocol) = &mut self.protocol {
            protocol.connection_lost(transport, lost);
        }
        if let Some(stage) = self.stage.take() {
            stage.settle(&transport.handle(), Err(ConnectError::Lost(lost.clone())));
        }
    }

    /// The program knows its own protocol, and not this one.
    fn type_name(&self, internal: Internal) -> &'static str {
        self.protocol.as_ref().map_or(std::any::type_name::<Self>(), |protocol| protocol.type_name(internal))
    }
}
