use std::error::Error as _;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};

use super::TlsError;

fn said(error: Error) -> String {
    TlsError::Handshake(error).to_string()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[test]
fn an_expired_certificate_is_called_so_with_its_age() {
    for (age, words) in [(59, "59 seconds"), (7_200, "2 hours"), (86_400 * 40, "40 days")] {
        let error = CertificateError::ExpiredContext { time: at(age), not_after: at(0) };
        let text = said(Error::InvalidCertificate(error));
        assert_eq!(
            text,
            format!("the TLS handshake failed: the certificate of the peer expired {words} ago")
        );
    }
}

#[test]
fn a_wrong_name_is_told_with_the_names_that_there_are() {
    let expected = ServerName::try_from("a.example").unwrap();
    let presented = vec!["DnsName(\"b.example\")".to_owned(), "*.c.example".to_owned()];
    let text =
        said(Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }));
    assert!(text.ends_with("is not for \"a.example\", but for b.example, *.c.example"), "{text}");
}

#[test]
fn an_alert_says_who_sent_it_and_why() {
    let text = said(Error::AlertReceived(AlertDescription::CertificateRequired));
    assert!(
        text.ends_with("the peer sent the alert CertificateRequired: it wants a certificate of ours"),
        "{text}"
    );
}

#[test]
fn the_error_of_rustls_is_the_source() {
    let error = TlsError::Connection(Error::DecryptError);
    let source = error.source().and_then(|source| source.downcast_ref::<Error>());
    assert_eq!(source, Some(&Error::DecryptError));
    assert_eq!(error.rustls(), source);
    assert!(!error.is_handshake());
    assert!(TlsError::EndedInHandshake.source().is_none());
}
