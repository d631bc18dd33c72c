use std::fs;
use std::path::PathBuf;

use super::*;
use crate::fixtures::{Authority, Pair, trusting};

/// The certificate and key of a name, in files of a folder of their own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("marline-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, (certificate, key): &(String, String)) -> (PathBuf, PathBuf) {
        let paths = (self.0.join("server.crt"), self.0.join("server.key"));
        fs::write(&paths.0, certificate).unwrap();
        fs::write(&paths.1, key).unwrap();
        paths
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn accepts(authority: &Authority, server: &ServerTls, name: &str) -> bool {
    let client = trusting(authority).build().unwrap();
    Pair::new(&client, name, server).pump(4096, 0).is_ok()
}

#[test]
fn files_are_read_again_for_new_handshakes() {
    let (folder, authority) = (Folder::new("reload"), Authority::new());
    let (certificate, key) = folder.write(&authority.pem_for(&["old.example"]));
    let server = ServerTls::new(Identity::from_pem_files(&certificate, &key).unwrap()).unwrap();
    let clone = server.clone();
    assert!(accepts(&authority, &clone, "old.example"));
    folder.write(&authority.pem_for(&["new.example"]));
    server.reload().unwrap();
    assert!(accepts(&authority, &clone, "new.example") && !accepts(&authority, &clone, "old.example"));
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_one_before() {
    let (folder, authority) = (Folder::new("refused"), Authority::new());
    let (good, other) = (authority.pem_for(&["a.example"]), authority.pem_for(&["a.example"]));
    let (certificate, key) = folder.write(&good);
    let server = ServerTls::new(Identity::from_pem_files(&certificate, &key).unwrap()).unwrap();
    folder.write(&(good.0, other.1));
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains("server.key") && error.contains("not that of the certificate"), "{error}");
    fs::remove_file(&key).unwrap();
    let error = server.reload().unwrap_err();
    assert!(matches!(&error, ConfigError::File { path, .. } if *path == key), "{error}");
    assert!(accepts(&authority, &server, "a.example"));
}

#[test]
fn a_certificate_may_be_changed_from_memory() {
    let authority = Authority::new();
    let server = ServerTls::new(authority.identity(&["old.example"])).unwrap();
    server.set_identity(&authority.identity(&["new.example"])).unwrap();
    assert!(accepts(&authority, &server, "new.example") && !accepts(&authority, &server, "old.example"));
    assert!(matches!(server.reload(), Err(ConfigError::NotFromFiles)));
}

#[test]
fn a_configuration_of_rustls_keeps_its_own_way_to_choose() {
    let authority = Authority::new();
    let inner = ServerTls::new(authority.identity(&["a.example"])).unwrap();
    let server = ServerTls::from_config(Arc::clone(inner.config())).with_handshake_timeout(None);
    assert!(accepts(&authority, &server, "a.example"));
    let refused = server.set_identity(&authority.identity(&["b.example"]));
    assert!(matches!(refused, Err(ConfigError::OwnChoice)));
}
