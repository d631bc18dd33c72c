//! A connection of a client, with or without TLS.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// What is read from a socket at a time, to be decrypted.
const RAW: usize = 64 * 1024;
/// How many sessions are kept.
const SESSIONS: usize = 8 * 1024;

/// Opens connections that are all alike.
pub(super) struct Opener {
    tls: Option<Arc<ClientConfig>>,
}

impl Opener {
    /// With TLS, or without (`None`); with TLS, sessions are resumed or not.
    pub(super) fn new(resumes: Option<bool>) -> io::Result<Self> {
        Ok(Self { tls: resumes.map(config).transpose()? })
    }

    /// The number is that of the place that the connection takes. Each place resumes sessions of its own: of one server's
    /// rustls keeps only few.
    pub(super) fn open(&self, stream: TcpStream, place: usize) -> io::Result<Channel> {
        let Some(config) = &self.tls else { return Ok(Channel::Plain(stream)) };
        let name = ServerName::try_from(format!("place{place}.localhost")).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        connection.set_buffer_limit(None);
        Ok(Channel::Tls(Box::new(Secure { stream, connection, raw: Vec::new(), next: 0, is_full: false })))
    }
}

/// A connection, of which everything returns at once.
pub(super) enum Channel {
    Plain(TcpStream),
    Tls(Box<Secure>),
}

pub(super) struct Secure {
    stream: TcpStream,
    connection: ClientConnection,
    /// What was read last, and how much of it was used.
    raw: Vec<u8>,
    next: usize,
    /// The socket takes no more for now.
    is_full: bool,
}

impl Channel {
    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(secure) => &secure.stream,
        }
    }

    /// An event came: what was written and not sent goes on.
    pub(super) fn go_on(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(secure) => secure.go_on(),
        }
    }

    /// Ends our direction.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Self::Tls(secure) = self {
            secure.connection.send_close_notify();
            secure.flush()?;
        }
        self.stream().shutdown(Shutdown::Write)
    }

    /// Whether the session was resumed; `None` without TLS.
    pub(super) fn is_resumed(&self) -> Option<bool> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(secure) => {
                Some(secure.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed))
            }
        }
    }
}

impl Read for Channel {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(room),
            Self::Tls(secure) => secure.read(room),
        }
    }
}

impl Write for Channel {
    /// With TLS, what cannot be sent at once is refused, or kept until [`go_on`](Self::go_on).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Secure {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.take_in()?,
                // Whoever reads the end wants no more than that.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
        }
    }

    /// Decrypts some of what was read, or is there to be read.
    fn take_in(&mut self) -> io::Result<()> {
        if self.next == self.raw.len() {
            self.raw.resize(RAW, 0);
            let count = self.stream.read(&mut self.raw);
            self.raw.truncate(*count.as_ref().unwrap_or(&0));
            self.next = 0;
            count?;
        }
        self.next += self.connection.read_tls(&mut &self.raw[self.next..])?;
        self.connection.process_new_packets().map_err(io::Error::other)?;
        self.flush()
    }

    /// Also before the end of the handshake; then it is kept.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.connection.writer().write(bytes)?;
        self.flush()?;
        Ok(count)
    }

    fn go_on(&mut self) -> io::Result<()> {
        self.is_full = false;
        self.flush()?;
        while self.connection.is_handshaking() {
            match self.take_in() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                taken => taken?,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() && !self.is_full {
            match self.connection.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_full = true,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// TLS 1.3, to any server: who it is costs the clients time, and no server any.
fn config(resumes: bool) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(io::Error::other)?;
    let verifier = Arc::new(Anybody(provider));
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption =
        if resumes { Resumption::in_memory_sessions(SESSIONS) } else { Resumption::disabled() };
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
