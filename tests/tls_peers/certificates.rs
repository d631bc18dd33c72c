//! Authorities, and what they issue, in files.

use std::fs;
use std::time::{Duration, SystemTime};

use marline::tls::{ClientTls, ClientTlsBuilder, Identity, Roots, ServerTls, ServerTlsBuilder};
use marline_tests::files::Folder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The name that servers have.
pub const NAME: &str = "a.example";

/// An authority, its certificate in a file, and those that it issues in others.
pub struct Authority {
    folder: Folder,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        Self::named("authority")
    }

    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        // By default everybody has the same name, and OpenSSL takes what this signs for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = Folder::new("authority");
        fs::write(folder.path("ca.pem"), issuer.pem()).expect("a file");
        Self { folder, issuer }
    }

    /// A path for a file of the test's.
    pub fn path(&self, file: &str) -> String {
        self.folder.path(file)
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> String {
        self.path("ca.pem")
    }

    pub fn roots(&self) -> Roots {
        Roots::new().with_pem_file(self.ca()).expect("a root")
    }

    /// A new file of a certificate and its key.
    pub fn issue(&self, name: &str) -> String {
        self.issue_with(name, |_| ())
    }

    /// A certificate that was valid until an hour ago.
    pub fn issue_expired(&self, name: &str) -> String {
        let ended = SystemTime::now() - Duration::from_secs(3600);
        self.issue_with(name, |params| params.not_after = ended.into())
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signature");
        let path = self.path(&format!("{name}.pem"));
        fs::write(&path, certificate.pem() + &key.serialize_pem()).expect("a file");
        path
    }

    pub fn identity(&self, name: &str) -> Identity {
        let path = self.issue(name);
        Identity::from_pem_files(&path, &path).expect("an identity")
    }

    /// A server that it certified.
    pub fn server(&self) -> ServerTlsBuilder {
        ServerTls::builder(self.identity(NAME))
    }

    /// A client that trusts it.
    pub fn client(&self) -> ClientTlsBuilder {
        ClientTls::builder().roots(self.roots())
    }
}
