//! U: UNIX sockets and their files.

use std::cell::RefCell;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use marline_reactor::{
    Address, Addresses, ConnectError, Credentials, Endpoint, ListenError, Server, Transport, UnixAddress,
};
use marline_tests::wait_until_refused;

use crate::conformance;
pub use crate::support::scratch;
use crate::support::{Attempt, Event, Log, Trace, World, skip};

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
        wait_until_refused(|| UnixStream::connect(&path));
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

/// A listener with room for one or two, which accepts nobody until it is let.
struct Deaf {
    socket: Option<socket2::Socket>,
    server: Option<Server>,
    accepted: RefCell<Vec<socket2::Socket>>,
}

impl Deaf {
    fn at(world: &World, endpoint: &Endpoint, path: &Path) -> Self {
        if world.is_memory() {
            let server =
                world.handle().listen(endpoint.clone().backlog(1), |_: &Addresses| Trace::new(&Log::new()));
            let server = server.expect("a listener");
            server.pause();
            return Self { socket: None, server: Some(server), accepted: RefCell::default() };
        }
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&socket2::SockAddr::unix(path).expect("a path")).expect("a free path");
        socket.listen(1).expect("a listener");
        socket.set_nonblocking(true).expect("a mode");
        Self { socket: Some(socket), server: None, accepted: RefCell::default() }
    }

    /// Accepts those who wait.
    fn accept(&self) {
        self.server.iter().for_each(Server::resume);
        while let Some(Ok((accepted, _))) = self.socket.as_ref().map(socket2::Socket::accept) {
            self.accepted.borrow_mut().push(accepted);
        }
    }
}

/// Attempts to connect of which only the first few find room.
fn crowd(world: &World, endpoint: &Endpoint) -> Vec<Attempt> {
    let attempts = (0..8).map(|_| Attempt::start(&world.handle(), endpoint.clone(), Trace::new(&Log::new())));
    attempts.collect()
}

/// A twentieth of a second. Who tries again and again never settles.
fn let_time_pass(world: &World) {
    if world.is_memory() {
        return world.advance(Duration::from_millis(50));
    }
    let begun = Instant::now();
    world.until(|| begun.elapsed() > Duration::from_millis(50));
}

fn pending(attempts: &[Attempt]) -> usize {
    attempts.iter().filter(|attempt| attempt.connecting.is_pending()).count()
}

conformance! {
    fn u01_a_connect_waits_for_room_in_the_backlog(world: &World) {
        let path = scratch("u01-full");
        let endpoint = Endpoint::unix(&path);
        let deaf = Deaf::at(world, &endpoint, &path);
        let attempts = crowd(world, &endpoint);
        let_time_pass(world);
        assert!(pending(&attempts) >= 5, "there is room for one or two, and {} wait", pending(&attempts));
        let before = world.handle().stats();
        let_time_pass(world);
        let after = world.handle().stats();
        let more = after.turns + after.system_calls.connects - before.turns - before.system_calls.connects;
        assert!(more < 1_000, "{more} turns and connects in a twentieth of a second");
        // One that is given up has no outcome but that.
        let given_up = attempts.iter().rev().find(|attempt| attempt.connecting.is_pending()).expect("one that waits");
        assert!(given_up.connecting.cancel());
        world.until(|| given_up.told() == 1);
        assert!(matches!(given_up.outcomes()[0], Err(ConnectError::Cancelled { .. })));
        world.until(|| {
            deaf.accept();
            pending(&attempts) == 0
        });
        let connected = attempts.iter().filter(|attempt| matches!(attempt.outcomes().first(), Some(Ok(_))));
        assert_eq!(connected.count(), 7);
        drop(std::fs::remove_file(&path));
    }

    fn u01_a_connect_without_room_ends_at_its_timeout(world: &World) {
        let path = scratch("u01-late");
        let endpoint = Endpoint::unix(&path).timeout(Duration::from_millis(40));
        let _deaf = Deaf::at(world, &endpoint, &path);
        let attempts = crowd(world, &endpoint);
        world.until(|| pending(&attempts) == 0);
        let late = attempts.iter().filter(|attempt| matches!(attempt.outcome(world), Err(ConnectError::TimedOut { .. })));
        assert!(late.count() >= 5);
        drop(std::fs::remove_file(&path));
    }

    fn u01_the_peer_of_a_unix_socket_is_known(world: &World) {
        if let Some(memory) = world.as_memory() {
            memory.network().set_credentials(Credentials { pid: Some(7), uid: 8, gid: 9 });
        }
        let (near, far) = world.unix_pair("u01-peer", true, Trace::new(&Log::new()), Trace::new(&Log::new()));
        let (plain, other) = world.unix_pair("u01-plain", false, Trace::new(&Log::new()), Trace::new(&Log::new()));
        let (pid, uid) = (std::process::id(), rustix::process::geteuid().as_raw());
        let gid = rustix::process::getegid().as_raw();
        let expected = if world.is_memory() { (7, 8, 9) } else { (pid, uid, gid) };
        for transport in [&near, &far, &plain, &other] {
            let peer = transport.peer_credentials().expect("credentials");
            assert_eq!((peer.pid, peer.uid, peer.gid), (Some(expected.0), expected.1, expected.2));
        }
        let (transport, _raw) = world.accept_one(Trace::new(&Log::new()));
        let refused = transport.peer_credentials().expect_err("TCP");
        assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
        near.abort();
        world.until(|| near.peer_address().is_none());
        assert_eq!(near.peer_credentials().expect_err("gone").kind(), std::io::ErrorKind::NotConnected);
    }
}
