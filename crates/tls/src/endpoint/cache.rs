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

static KNOWN: Mutex<Known> = Mutex::new(Known { clients: VecDeque::new(), servers: Vec::new(), reloads: 0 });

/// Nothing is locked while files are read. Loops begin together, so another may have made the same meanwhile, which is taken then.
struct Known {
    clients: VecDeque<(Options, ClientTls)>,
    /// Those of listeners that there are still.
    servers: Vec<(Options, WeakServerTls)>,
    /// How often all files were to be read again. What was read before the last time is not kept.
    reloads: u64,
}

pub(super) fn client(options: &Options) -> Result<ClientTls, ConfigError> {
    loop {
        let reloads = match KNOWN.lock().client(options) {
            Ok(known) => return Ok(known),
            Err(reloads) => reloads,
        };
        let made = options.client()?;
        let mut known = KNOWN.lock();
        if known.reloads == reloads {
            return Ok(known.client(options).unwrap_or_else(|_| known.keep_client(options, made)));
        }
    }
}

/// A new listener shows the certificate that its files have now, and so do those that it shares the configuration with.
/// `None` without a certificate.
pub(super) fn server(options: &Options) -> Result<Option<ServerTls>, ConfigError> {
    loop {
        let found = KNOWN.lock().server(options);
        let reloads = match found {
            Ok(server) => {
                server.reload()?;
                return Ok(Some(server));
            }
            Err(reloads) => reloads,
        };
        let Some(made) = options.server()? else { return Ok(None) };
        let mut known = KNOWN.lock();
        if known.reloads == reloads {
            return Ok(Some(known.server(options).unwrap_or_else(|_| known.keep_server(options, made))));
        }
    }
}

impl Known {
    /// The one with these options. Otherwise how often all were read again.
    fn client(&mut self, options: &Options) -> Result<ClientTls, u64> {
        let found = self.clients.iter().position(|(known, _)| known == options);
        let found = found.and_then(|at| self.clients.remove(at)).ok_or(self.reloads)?;
        let client = found.1.clone();
        self.clients.push_front(found);
        Ok(client)
    }

    fn keep_client(&mut self, options: &Options, client: ClientTls) -> ClientTls {
        self.clients.push_front((options.clone(), client.clone()));
        self.clients.truncate(MOST);
        client
    }

    /// The same of servers.
    fn server(&self, options: &Options) -> Result<ServerTls, u64> {
        let mut known = self.servers.iter().filter(|(known, _)| known == options);
        known.find_map(|(_, known)| known.upgrade()).ok_or(self.reloads)
    }

    fn keep_server(&mut self, options: &Options, server: ServerTls) -> ServerTls {
        self.servers.retain(|(_, known)| known.upgrade().is_some());
        self.servers.push((options.clone(), server.downgrade()));
        server
    }
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
    let (clients, servers) = {
        let mut known = KNOWN.lock();
        known.reloads += 1;
        let servers: Vec<_> = known.servers.iter().filter_map(|(_, known)| known.upgrade()).collect();
        (std::mem::take(&mut known.clients), servers)
    };
    drop(clients);
    let mut outcome = Ok(());
    for server in servers {
        outcome = outcome.and(server.reload());
    }
    outcome
}
