//! Authorities, certificates, and pairs of sessions, for tests.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use crate::error::TlsError;
use crate::session::Session;
use crate::{ClientTls, ClientTlsBuilder, Identity, Roots, ServerTls};

/// One who certifies names.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new().with_pem(self.issuer.pem()).unwrap()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names, and its key, as PEM text.
    pub(crate) fn pem_for(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.issue(names, |_| ());
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        self.changed(names, |_| ())
    }

    /// A certificate that expired this long ago.
    pub(crate) fn expired(&self, names: &[&str], ago: Duration) -> Identity {
        self.changed(names, |params| params.not_after = (std::time::SystemTime::now() - ago).into())
    }

    fn changed(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (certificate, key) = self.issue(names, change);
        Identity::from_der(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
    }

    fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A client that trusts the authority, and a server that it certified as `a.example`.
pub(crate) fn client_and_server() -> (ClientTls, ServerTls) {
    let authority = Authority::new();
    let client = trusting(&authority).build().unwrap();
    (client, ServerTls::new(authority.identity(&["a.example"])).unwrap())
}

pub(crate) fn trusting(authority: &Authority) -> ClientTlsBuilder {
    ClientTls::builder().roots(authority.roots())
}

/// Two sessions, and what is on the way between them.
pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
}

/// One of two sessions.
pub(crate) struct Side {
    pub(crate) session: Session,
    /// What it sent, and the other has not got yet.
    pub(crate) wire: Vec<u8>,
    /// The plaintext that it received.
    pub(crate) plaintext: Vec<u8>,
}

impl Side {
    fn new(session: Session) -> Self {
        let mut side = Self { session, wire: Vec::new(), plaintext: Vec::new() };
        side.session.start(&mut side.wire);
        side
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let count = self.session.send(&[std::io::IoSlice::new(bytes)], &mut self.wire).unwrap();
        assert_eq!(count, bytes.len());
    }

    pub(crate) fn close(&mut self) {
        self.session.send_close_notify(&mut self.wire);
    }

    /// Receives bytes, as the loop would hand them over: with so much room, as often as it was filled.
    pub(crate) fn receive(&mut self, bytes: &[u8], room: usize) -> Result<usize, TlsError> {
        let mut room = vec![0; room];
        let mut consumed = 0;
        loop {
            let received = self.session.receive(&bytes[consumed..], &mut room, &mut self.wire)?;
            consumed += received.consumed;
            self.plaintext.extend_from_slice(&room[..received.filled]);
            if received.filled == 0 || received.filled < room.len() {
                return Ok(consumed);
            }
        }
    }
}

impl Pair {
    pub(crate) fn new(client: &ClientTls, name: &str, server: &ServerTls) -> Self {
        let client = client.filter(name).unwrap().into_session().unwrap();
        let server = server.filter().into_session().unwrap();
        Self { client: Side::new(client), server: Side::new(server) }
    }

    /// Moves what is on the way, so many bytes at a time, until there is nothing.
    pub(crate) fn pump(&mut self, chunk: usize, room: usize) -> Result<(), TlsError> {
        while !self.client.wire.is_empty() || !self.server.wire.is_empty() {
            carry(&mut self.client, &mut self.server, chunk, room)?;
            carry(&mut self.server, &mut self.client, chunk, room)?;
        }
        Ok(())
    }

    /// A pair whose handshake is complete.
    pub(crate) fn established(client: &ClientTls, name: &str, server: &ServerTls) -> Self {
        let mut pair = Self::new(client, name, server);
        pair.pump(4096, 4096).unwrap();
        assert!(!pair.client.session.is_handshaking() && !pair.server.session.is_handshaking());
        pair
    }
}

fn carry(from: &mut Side, to: &mut Side, chunk: usize, room: usize) -> Result<(), TlsError> {
    let bytes = std::mem::take(&mut from.wire);
    for piece in bytes.chunks(chunk) {
        assert_eq!(to.receive(piece, room)?, piece.len());
    }
    Ok(())
}
