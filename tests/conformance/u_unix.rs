//! U: UNIX sockets and their files.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use marline_reactor::{Address, Addresses, Endpoint, ListenError, Transport, UnixAddress};

use crate::conformance;
use crate::support::{Event, Log, Trace, World, skip};

/// A path that no other test uses, and nothing there.
pub fn scratch(what: &str) -> PathBuf {
    let name = format!("marline-{what}-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    drop(std::fs::remove_file(&path));
    path
}

/// A message to a listener at `endpoint`, echoed, with an orderly end.
fn exchange(world: &World, endpoint: &Endpoint) -> (Log, Log) {
    let (near, far) = (Log::new(), Log::new());
    let mine = near.clone();
    let server = world.handle().listen(endpoint, move |_: &Addresses| Trace::new(&mine)).expect("a listener");
    let theirs = far.clone();
    let connecting = world.handle().connect(
        endpoint,
        move |_: &Addresses| Trace::new(&theirs),
        |outcome| _ = outcome.expect("a connection").write("over a socket file"),
    );
    world.until(|| near.received() == 18);
    drop(connecting);
    server.stop();
    (near, far)
}

conformance! {
    fn u01_the_socket_file_has_the_requested_mode(world: &World) {
        let path = scratch("u01-mode");
        let endpoint = Endpoint::unix(&path).mode(0o640);
        let server = world.handle().listen(&endpoint, |_: &Addresses| |_: &Transport, _: &[u8]| ()).expect("a listener");
        assert_eq!(server.local_address(), Some(UnixAddress::path(&path).into()));
        if world.is_memory() {
            return skip("the memory backend makes no files");
        }
        let about = path.symlink_metadata().expect("a file");
        assert!(about.file_type().is_socket());
        assert_eq!(about.permissions().mode() & 0o777, 0o640);
        server.stop();
        world.until(|| server.local_address().is_none());
        assert!(!path.exists(), "the file is gone with the listener");
    }

    fn u01_bytes_and_ends_pass_over_a_socket_file(world: &World) {
        let path = scratch("u01-bytes");
        let (near, far) = exchange(world, &Endpoint::unix(&path));
        assert_eq!(near.bytes(), b"over a socket file");
        assert_eq!(far.count(&Event::Made), 1);
    }

    fn u01_abstract_names_work(world: &World) {
        let name = format!("unix-abstract://{}", scratch("u01-abstract").display());
        let (near, _) = exchange(world, &name.parse().expect("an endpoint"));
        assert_eq!(near.bytes(), b"over a socket file");
    }

    fn u01_a_stale_socket_is_replaced_and_a_live_one_is_not(world: &World) {
        let path = scratch("u01-stale");
        if world.is_memory() {
            return skip("the memory backend makes no files");
        }
        drop(UnixListener::bind(&path).expect("a listener"));
        assert!(path.exists(), "a listener that ends leaves its file");
        let (near, _) = exchange(world, &Endpoint::unix(&path));
        assert_eq!(near.bytes(), b"over a socket file");

        let other = scratch("u01-live");
        let live = UnixListener::bind(&other).expect("a listener");
        let outcome = world.handle().listen(Endpoint::unix(&other), |_: &Addresses| Trace::new(&Log::new()));
        let Err(ListenError::InUse { address, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(address, Address::from(UnixAddress::path(&other)));
        assert!(other.exists());
        drop(live);
        drop(std::fs::remove_file(&other));
    }

    fn u01_a_path_that_is_no_socket_is_an_error(world: &World) {
        let path = scratch("u01-file");
        if world.is_memory() {
            return skip("the memory backend makes no files");
        }
        std::fs::write(&path, "precious").expect("a file");
        let outcome = world.handle().listen(Endpoint::unix(&path), |_: &Addresses| Trace::new(&Log::new()));
        let error = outcome.expect_err("there is a file").to_string();
        assert!(error.contains("no socket"), "{error}");
        assert_eq!(std::fs::read(&path).expect("the file"), b"precious");
        drop(std::fs::remove_file(&path));
    }
}
