//! What was made of the options of endpoints.
//!
//! It is for the whole process, as endpoints are: so a session of one connection is resumed by the next, and on whichever of several
//! loops that share a port.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::options::Options;
use crate::error::ConfigError;
use crate::server::WeakServerTls;
use crate::{ClientTls, ServerTls};

/// So many configurations of clients are kept, those that were used last.
const MOST: usize = 64;

static CLIENTS: Mutex<VecDeque<(Options, ClientTls)>> = Mutex::new(VecDeque::new());

/// Those of listeners that there are still.
static SERVERS: Mutex<Vec<(Options, WeakServerTls)>> = Mutex::new(Vec::new());

pub(super) fn client(options: &Options) -> Result<ClientTls, ConfigError> {
    if let Some(client) = known_client(options) {
        return Ok(client);
    }
    // Nothing is locked while files are read.
    let client = options.client()?;
    let mut clients = CLIENTS.lock();
    clients.push_front((options.clone(), client.clone()));
    clients.truncate(MOST);
    Ok(client)
}

fn known_client(options: &Options) -> Option<ClientTls> {
    let mut clients = CLIENTS.lock();
    let at = clients.iter().position(|(known, _)| known == options)?;
    let found = clients.remove(at)?;
    let client = found.1.clone();
    clients.push_front(found);
    Some(client)
}

/// A new listener shows the certificate that its files have now, and so do those that it shares the configuration with.
/// `None` without a certificate.
pub(super) fn server(options: &Options) -> Result<Option<ServerTls>, ConfigError> {
    if let Some(server) = known_server(options) {
        server.reload()?;
        return Ok(Some(server));
    }
    let Some(server) = options.server()? else { return Ok(None) };
    let mut servers = SERVERS.lock();
    servers.retain(|(_, known)| known.upgrade().is_some());
    servers.push((options.clone(), server.downgrade()));
    Ok(Some(server))
}

fn known_server(options: &Options) -> Option<ServerTls> {
    let servers = SERVERS.lock();
    let mut known = servers.iter().filter(|(known, _)| known == options);
    known.find_map(|(_, known)| known.upgrade())
}

/// Has the files be read again that the [endpoints of TLS](super) name: listeners show the certificates that they have now, in
/// handshakes from now on, and clients make their configurations anew when they next connect. Programs call it when certificates
/// were renewed, at a SIGHUP for example. (A listener goes on with the authorities of its `client_ca`.)
///
/// # Errors
///
/// The first, if a certificate or key cannot be read or used. The listeners of it go on with the one before, all others were
/// changed.
pub fn reload_endpoints() -> Result<(), ConfigError> {
    let clients = std::mem::take(&mut *CLIENTS.lock());
    drop(clients);
    let servers: Vec<_> = SERVERS.lock().iter().filter_map(|(_, known)| known.upgrade()).collect();
    let mut outcome = Ok(());
    for server in servers {
        outcome = outcome.and(server.reload());
    }
    outcome
}
