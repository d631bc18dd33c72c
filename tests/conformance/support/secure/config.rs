//! Certificates, and who trusts whom.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use marline_tests::files::Folder;
use marline_tls::rustls::{ClientConfig, ServerConfig};
use marline_tls::{ClientTls, Identity, Roots, ServerTls, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Whom the certificates are for.
pub const NAME: &str = "a.example";

/// An authority, and a certificate from it, as PEM text.
struct Papers {
    authority: String,
    certificate: String,
    key: String,
}

impl Papers {
    /// Of authorities with the same name one would be taken for the other.
    fn of(authority: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self { authority: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> Roots {
        Roots::new().with_pem(&self.authority).expect("an authority")
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key).expect("a certificate")
    }

    fn setup(&self) -> Setup {
        let client = |version| {
            let builder = ClientTls::builder().roots(self.roots()).identity(self.identity());
            // Each handshake is a whole one, whatever came before.
            builder.max_version(version).resumption(false).build().expect("a client")
        };
        let server = ServerTls::builder(self.identity()).require_client_certificates(self.roots());
        Setup {
            client: client(TlsVersion::Tls13),
            old_client: client(TlsVersion::Tls12),
            server: server.build().expect("a server"),
        }
    }
}

static PAPERS: LazyLock<Papers> = LazyLock::new(|| Papers::of("authority"));
static SETUP: LazyLock<Setup> = LazyLock::new(|| PAPERS.setup());

/// How both roles are played: whoever has one trusts whoever has the other.
#[derive(Clone)]
pub struct Setup {
    client: ClientTls,
    /// One that knows TLS 1.2 only.
    old_client: ClientTls,
    server: ServerTls,
}

impl Default for Setup {
    fn default() -> Self {
        SETUP.clone()
    }
}

impl Setup {
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_handshake_timeout(timeout);
        self.old_client = self.old_client.with_handshake_timeout(timeout);
        self.server = self.server.with_handshake_timeout(timeout);
        self
    }

    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_shutdown_timeout(timeout);
        self.old_client = self.old_client.with_shutdown_timeout(timeout);
        self.server = self.server.with_shutdown_timeout(timeout);
        self
    }

    pub const fn client(&self, version: TlsVersion) -> &ClientTls {
        match version {
            TlsVersion::Tls12 => &self.old_client,
            _ => &self.client,
        }
    }

    pub const fn server(&self) -> &ServerTls {
        &self.server
    }

    pub(super) fn client_config(&self, version: TlsVersion) -> Arc<ClientConfig> {
        Arc::clone(self.client(version).config())
    }

    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(self.server.config())
    }
}

/// Those whom nobody else trusts, and who trust nobody else.
pub fn strangers() -> Setup {
    Papers::of("strangers").setup()
}

/// `ca.pem`, `cert.pem` and `key.pem`.
pub fn folder_of_certificates() -> Folder {
    let folder = Folder::new("certificates");
    let files = [("ca.pem", &PAPERS.authority), ("cert.pem", &PAPERS.certificate), ("key.pem", &PAPERS.key)];
    for (name, text) in files {
        std::fs::write(folder.path(name), text).expect("room for a file");
    }
    folder
}
