//! Kinds of endpoints that a program adds.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parking_lot::RwLock;

use super::parse::{is_builtin, is_scheme};
use crate::address::Addresses;
use crate::connect::Connecting;
use crate::error::{ConnectError, ListenError};
use crate::protocol::Protocol;
use crate::reactor::Handle;
use crate::server::Server;
use crate::transport::Transport;

/// What makes the protocol of a connection, or refuses it.
pub type ConnectFactory = Box<dyn FnOnce(&Addresses) -> Option<Box<dyn Protocol>>>;

/// What is told the outcome of connecting.
pub type ConnectDone = Box<dyn FnOnce(Result<Transport, ConnectError>)>;

/// What makes the protocols of a listener's connections, or refuses them.
pub type ListenFactory = Box<dyn FnMut(&Addresses) -> Option<Box<dyn Protocol>>>;

/// A kind of endpoint that a program adds with [`register_endpoint`], for a scheme of its own.
///
/// Mostly it stands on other kinds: it connects to an endpoint that it knows, and wraps the protocols.
///
/// ```
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{
///     Addresses, ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle, Transport,
///     register_endpoint,
/// };
///
/// /// `service:NAME`: a socket file in the directory for such.
/// struct Service;
///
/// impl EndpointKind for Service {
///     fn check(&self, parts: &EndpointParts) -> Result<(), String> {
///         if parts.rest().contains('/') { Err("a name without slashes".into()) } else { Ok(()) }
///     }
///
///     fn connect(&self, handle: &Handle, parts: &EndpointParts, factory: ConnectFactory, done: ConnectDone) -> Connecting {
///         handle.connect(Endpoint::unix(format!("/run/{}.sock", parts.rest())), factory, done)
///     }
/// }
///
/// register_endpoint("service", Service)?;
///
/// let memory = MemoryReactor::new();
/// memory.handle().listen("unix:///run/printer.sock", |_: &Addresses| |transport: &Transport, _: &[u8]| transport.close())?;
/// let ignore = |_: &Transport, _: &[u8]| ();
/// memory.handle().connect("service:printer", move |_: &Addresses| ignore, |outcome| assert!(outcome.is_ok()));
/// memory.pump();
/// assert!("service:a/b".parse::<Endpoint>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait EndpointKind: Send + Sync + 'static {
    /// The options that it knows. Others are errors when a string is parsed.
    fn options(&self) -> &[&'static str] {
        &[]
    }

    /// Looks at a string of that kind when it is parsed.
    ///
    /// # Errors
    ///
    /// What should be there instead, in words.
    fn check(&self, parts: &EndpointParts) -> Result<(), String> {
        let _ = parts;
        Ok(())
    }

    /// Connects, as [`Handle::connect`] does: every outcome is told to `done`, from the loop. By default it cannot.
    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        drop(factory);
        Connecting::failed(handle, ConnectError::WrongKind { target: parts.to_string() }, done)
    }

    /// Listens, as [`Handle::listen`] does. By default it cannot.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let _ = (handle, factory);
        Err(ListenError::WrongKind { target: parts.to_string() })
    }
}

/// An endpoint of a kind that the program added, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointParts {
    scheme: String,
    rest: String,
    options: Vec<(String, String)>,
    /// Of an endpoint that brings its kind along.
    own: Option<Own>,
}

/// A kind that is not looked up by its scheme. It is the same as itself alone.
#[derive(Clone)]
struct Own(Arc<dyn EndpointKind>);

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Own {}

impl Hash for Own {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl EndpointParts {
    pub(super) fn new(scheme: &str, rest: &str, options: Vec<(String, String)>) -> Self {
        Self { scheme: scheme.to_owned(), rest: rest.to_owned(), options, own: None }
    }

    pub(super) fn of_kind(kind: Arc<dyn EndpointKind>, scheme: &str, rest: &str) -> Self {
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let options = query.into_iter().flat_map(|query| query.split('&'));
        let options = options.map(|option| option.split_once('=').unwrap_or((option, "")));
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { own: Some(Own(kind)), ..Self::new(scheme, rest, options) }
    }

    /// Its own kind, or the one that is registered for its scheme.
    pub(crate) fn kind(&self) -> Option<Arc<dyn EndpointKind>> {
        self.own.as_ref().map(|own| Arc::clone(&own.0)).or_else(|| registered(&self.scheme))
    }

    /// What comes before the first colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What comes after it, up to the question mark: `//host:port`, for example.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// The value of an option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All options, in the order in which they stand there.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Display for EndpointParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.rest)?;
        self.options()
            .zip(std::iter::once('?').chain(std::iter::repeat('&')))
            .try_for_each(|((name, value), separator)| write!(f, "{separator}{name}={value}"))
    }
}

/// The kinds, for the whole process: endpoints are parsed where no loop is known.
static KINDS: RwLock<BTreeMap<String, Arc<dyn EndpointKind>>> = RwLock::new(BTreeMap::new());

/// Adds a kind of endpoints, for all loops of the process: strings that begin with `scheme:` are of that kind from now on.
///
/// # Errors
///
/// If the scheme is none (RFC 3986: a letter, then letters, digits, `+`, `-` and `.`), or taken already.
pub fn register_endpoint(scheme: &str, kind: impl EndpointKind) -> Result<(), RegisterError> {
    if !is_scheme(scheme) {
        return Err(RegisterError { scheme: scheme.to_owned(), taken: false });
    }
    let mut kinds = KINDS.write();
    if is_builtin(scheme) || kinds.contains_key(scheme) {
        return Err(RegisterError { scheme: scheme.to_owned(), taken: true });
    }
    kinds.insert(scheme.to_owned(), Arc::new(kind));
    Ok(())
}

/// A kind of endpoints could not be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterError {
    scheme: String,
    taken: bool,
}

impl RegisterError {
    /// Whether there is a kind of that scheme already; otherwise it is no scheme.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = if self.taken { "there are endpoints of that kind already" } else { "that is no scheme" };
        write!(f, "cannot add endpoints {:?}: {why}", self.scheme)
    }
}

impl std::error::Error for RegisterError {}

pub(super) fn registered(scheme: &str) -> Option<Arc<dyn EndpointKind>> {
    KINDS.read().get(scheme).cloned()
}

pub(super) fn registered_schemes() -> Vec<String> {
    KINDS.read().keys().cloned().collect()
}
