//! What the errors of rustls say to people: what is wrong, and on which side.

use std::fmt;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InconsistentKeys, PeerIncompatible};

/// An error in plain words.
pub(super) struct Plainly<'a>(pub(super) &'a Error);

impl fmt::Display for Plainly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::InvalidCertificate(error) => certificate(error, f),
            Error::AlertReceived(alert) => received(*alert, f),
            Error::NoApplicationProtocol => {
                f.write_str("there is no application protocol (ALPN) that both sides offer")
            }
            Error::NoCertificatesPresented => f.write_str("the peer sent no certificate, and has to"),
            Error::DecryptError => f.write_str("a record of the peer's was changed on its way"),
            Error::InvalidMessage(what) => write!(f, "what the peer sent is not TLS ({what:?})"),
            Error::PeerIncompatible(what) => incompatible(what, f),
            Error::PeerMisbehaved(what) => write!(f, "the peer broke the rules of TLS ({what:?})"),
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                f.write_str("the private key is not that of the certificate")
            }
            other => other.fmt(f),
        }
    }
}

fn certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use CertificateError as Kind;

    match error {
        Kind::Expired => f.write_str("the certificate of the peer has expired"),
        Kind::ExpiredContext { time, not_after } => {
            write!(f, "the certificate of the peer expired {} ago", Apart(*not_after, *time))
        }
        Kind::NotValidYet => f.write_str("the certificate of the peer is not valid yet"),
        Kind::NotValidYetContext { time, not_before } => {
            write!(
                f,
                "the certificate of the peer is not valid before {} from now",
                Apart(*time, *not_before)
            )
        }
        Kind::Revoked => f.write_str("the certificate of the peer was revoked"),
        Kind::UnknownIssuer => {
            f.write_str("the certificate of the peer is from an unknown issuer, who is not trusted here")
        }
        Kind::BadSignature => f.write_str("the certificate of the peer has a wrong signature"),
        Kind::BadEncoding => f.write_str("the certificate of the peer is malformed"),
        Kind::NotValidForName => {
            f.write_str("the certificate of the peer is for another name than the one asked for")
        }
        Kind::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() {
                "no name".to_owned()
            } else {
                presented.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")
            };
            write!(f, "the certificate of the peer is not for {:?}, but for {names}", expected.to_str())
        }
        Kind::InvalidPurpose | Kind::InvalidPurposeContext { .. } => {
            write!(f, "the certificate of the peer is for another purpose ({error})")
        }
        other => write!(f, "the certificate of the peer is not acceptable: {other}"),
    }
}

/// rustls tells names as `DnsName("a.example")`.
fn shown(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn received(alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use AlertDescription as Alert;

    let why = match alert {
        Alert::HandshakeFailure => "it finds nothing that both sides accept",
        Alert::ProtocolVersion => "it accepts no version of TLS that we do",
        Alert::NoApplicationProtocol => "it offers no application protocol (ALPN) that we do",
        Alert::UnrecognisedName => "it does not know the server name that we asked for",
        Alert::CertificateRequired => "it wants a certificate of ours",
        Alert::CertificateExpired => "it finds our certificate expired",
        Alert::CertificateRevoked => "it finds our certificate revoked",
        Alert::UnknownCA => "it does not trust the issuer of our certificate",
        Alert::BadCertificate | Alert::UnsupportedCertificate | Alert::CertificateUnknown => {
            "it does not accept our certificate"
        }
        Alert::AccessDenied => "it denies access to the owner of our certificate",
        Alert::InsufficientSecurity => "it wants stronger cryptography",
        Alert::InternalError => "something is wrong on its side",
        _ => "it ended the connection",
    };
    write!(f, "the peer sent the alert {alert:?}: {why}")
}

fn incompatible(what: &PeerIncompatible, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use PeerIncompatible as Kind;

    match what {
        Kind::ServerDoesNotSupportTls12Or13
        | Kind::ServerTlsVersionIsDisabledByOurConfig
        | Kind::SupportedVersionsExtensionRequired
        | Kind::Tls12NotOffered
        | Kind::Tls12NotOfferedOrEnabled => {
            write!(f, "there is no version of TLS that both sides accept ({what:?})")
        }
        Kind::NoCipherSuitesInCommon => f.write_str("there is no cipher suite that both sides accept"),
        Kind::NoSignatureSchemesInCommon | Kind::NoCertificateRequestSignatureSchemesInCommon => {
            f.write_str("there is no kind of signature that both sides accept")
        }
        Kind::NoKxGroupsInCommon => f.write_str("there is no key exchange that both sides accept"),
        other => write!(f, "the peer does not do what is needed ({other:?})"),
    }
}

/// The time from one moment to a later one, in the largest unit of which there are two.
struct Apart(UnixTime, UnixTime);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.1.as_secs().saturating_sub(self.0.as_secs());
        let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
        match units.into_iter().find(|(length, _)| seconds / length >= 2) {
            Some((length, unit)) => write!(f, "{} {unit}", seconds / length),
            None => write!(f, "{seconds} seconds"),
        }
    }
}
