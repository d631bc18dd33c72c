//! Every server that is built starts, and returns what it is sent.
//!
//! `cargo test -p marline-bench --features peers` builds all of those in Rust. Those that are not built, or cannot be built
//! here, are named and left out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use marline_bench::contestant::{ALL, GROUPS, Ready};
use marline_bench::cores::Cores;
use marline_bench::prepare;
use marline_bench::server::{Server, Service};
use socket2::{Domain, Socket, Type};

/// After so long without a byte, a server is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Many times what the client has room for, so that sends are cut short.
const LONG: usize = 1 << 20;

/// The programs of this package, as far as their features are on. Cargo names the paths of the others too, where there is
/// nothing, or what was built before.
const BUILT: [(&str, Option<&str>); 12] = [
    ("bench-callbacks", option_env!("CARGO_BIN_EXE_bench-callbacks")),
    ("bench-async", option_env!("CARGO_BIN_EXE_bench-async")),
    ("bench-group-callbacks", option_env!("CARGO_BIN_EXE_bench-group-callbacks")),
    ("bench-group-async", option_env!("CARGO_BIN_EXE_bench-group-async")),
    ("bench-calloop", only_if(cfg!(feature = "calloop"), option_env!("CARGO_BIN_EXE_bench-calloop"))),
    ("bench-compio", only_if(cfg!(feature = "compio"), option_env!("CARGO_BIN_EXE_bench-compio"))),
    ("bench-glommio", only_if(cfg!(feature = "glommio"), option_env!("CARGO_BIN_EXE_bench-glommio"))),
    ("bench-mio", only_if(cfg!(feature = "mio"), option_env!("CARGO_BIN_EXE_bench-mio"))),
    ("bench-monoio", only_if(cfg!(feature = "monoio"), option_env!("CARGO_BIN_EXE_bench-monoio"))),
    ("bench-smol", only_if(cfg!(feature = "smol"), option_env!("CARGO_BIN_EXE_bench-smol"))),
    ("bench-tokio", only_if(cfg!(feature = "tokio"), option_env!("CARGO_BIN_EXE_bench-tokio"))),
    (
        "bench-tokio-multi",
        only_if(cfg!(feature = "tokio-multi"), option_env!("CARGO_BIN_EXE_bench-tokio-multi")),
    ),
];

const fn only_if(on: bool, path: Option<&'static str>) -> Option<&'static str> {
    if on { path } else { None }
}

fn built(name: &str, feature: Option<&str>) -> Result<PathBuf, String> {
    let found = BUILT.iter().find(|(built, _)| *built == name);
    let (_, path) = found.unwrap_or_else(|| panic!("add {name} to the programs that this test knows"));
    path.map(PathBuf::from).ok_or_else(|| format!("the feature {} is off", feature.unwrap_or_default()))
}

#[test]
fn every_server_that_is_built_returns_what_it_is_sent() {
    let cores = Cores::choose(false).expect("a core");
    let has_rings = has_rings();
    let mut served = 0;
    for contestant in ALL.into_iter().chain(GROUPS) {
        let name = contestant.name;
        if contestant.is_on_rings() && !has_rings {
            println!("left out: {name}: no io_uring here");
            continue;
        }
        match prepare::program(contestant, &built) {
            Ok(ready) => {
                println!("served by {name}");
                serve(&ready, contestant.place(cores));
                served += 1;
            }
            Err(reason) => println!("left out: {name}: {reason}"),
        }
    }
    assert!(served >= 2, "callbacks and tasks on readiness run everywhere");
}

fn has_rings() -> bool {
    marline::backend::named("completion").is_ok()
}

fn serve(ready: &Ready, cores: Cores) {
    let name = ready.contestant.name;
    let server = Server::start(ready, Service::default(), cores.server)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    // Several at a time, so that their bytes could be mixed up.
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(&server)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&[number as u8; 64]).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0xFF; 64];
        client.read_exact(&mut answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer, [number as u8; 64], "{name}");
    }
    let Some(client) = clients.pop() else { return };
    let message: Vec<u8> = (0..LONG).map(|at| (at / 251 + at % 251) as u8).collect();
    assert!(there_and_back(name, client, &message) == message, "{name}: the answer is not the message");
}

/// With a small window, so that the server's sends are not taken at once.
fn connect(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(32 * 1024).expect("a small buffer");
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())).into()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit for reads");
    socket.into()
}

/// Sends all of a message while another thread reads, and then the end of the stream: the server answers that with its own.
fn there_and_back(name: &str, client: TcpStream, message: &[u8]) -> Vec<u8> {
    let mut reader = client.try_clone().expect("a second handle");
    let mut writer = client;
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut answer = Vec::new();
            let ended = reader.read_to_end(&mut answer);
            ended.map(|_| answer)
        });
        writer.write_all(message).unwrap_or_else(|error| panic!("{name}: {error}"));
        writer.shutdown(Shutdown::Write).unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = reading.join().expect("the reader does not panic");
        answer.unwrap_or_else(|error| panic!("{name}: {error}"))
    })
}
