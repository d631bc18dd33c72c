use super::*;
use crate::fixtures::Authority;
use crate::{Roots, ServerTls};

#[test]
fn text_without_a_certificate_or_a_key_is_an_error_that_names_it() {
    let (certificate, key) = Authority::new().pem_for(&["a.example"]);
    let error = Identity::from_pem(&key, &key).unwrap_err();
    assert_eq!(error.to_string(), "there is no certificate in the text of the certificates");
    let error = Identity::from_pem(&certificate, &certificate).unwrap_err();
    assert_eq!(error.to_string(), "there is no private key in the text of the key");
    let broken = certificate.replace("-----END", "-----BND");
    let error = Identity::from_pem(broken, &key).unwrap_err();
    assert!(matches!(error, ConfigError::Pem { .. }), "{error}");
}

#[test]
fn an_encrypted_key_is_called_so() {
    let (certificate, key) = Authority::new().pem_for(&["a.example"]);
    let encrypted = key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
    let encrypted = encrypted.replace("END PRIVATE", "END ENCRYPTED PRIVATE");
    let error = Identity::from_pem(certificate, encrypted).unwrap_err();
    assert!(error.to_string().contains("is encrypted"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Identity::from_pem_files("/nowhere/server.crt", "/nowhere/server.key").unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/server.crt: "), "{error}");
    let error = Roots::new().with_pem_file("/nowhere/ca.pem").unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/ca.pem: "), "{error}");
}

#[test]
fn a_certificate_with_the_key_of_another_is_refused() {
    let authority = Authority::new();
    let (first, second) = (authority.pem_for(&["a.example"]), authority.pem_for(&["a.example"]));
    let identity = Identity::from_pem(&first.0, &second.1).unwrap();
    let error = ServerTls::new(identity).unwrap_err();
    assert!(error.to_string().contains("the private key is not that of the certificate"), "{error}");
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", Authority::new().identity(&["a.example"]));
    assert_eq!(shown, "Identity { certificates: 1, files: None, .. }");
}
