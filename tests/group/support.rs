//! Servers that say which loop they are on, and their clients.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use marline_reactor::backend::named;
use marline_reactor::{
    Balance, Builder, Group, GroupHandle, GroupStats, Protocol, Rolled, Running, Transport, Worker,
};
use marline_tests::PATIENCE;

/// A group of `loops` loops on this backend.
pub fn group(backend: &'static str, loops: usize) -> Group {
    let group = Group::new().expect("a group").loops(loops);
    group.builder(move |_| Ok(Builder::new().boxed_backend(named(backend)?)))
}

/// Tells which loop it is on, then echoes.
pub struct Here;

impl Protocol for Here {
    fn connection_made(&mut self, transport: &Transport) {
        let index = Worker::current().expect("a loop of a group").index();
        transport.write(format!("{index}\n"));
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

/// A group that serves [`Here`] on one port, and runs.
pub fn serving(backend: &'static str, loops: usize) -> Running {
    let group = group(backend, loops).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    group.start().expect("loops")
}

/// As [`serving`], on a UNIX socket.
pub fn serving_unix(backend: &'static str, loops: usize, balance: Balance) -> (Running, PathBuf) {
    let path = socket_path();
    let group = group(backend, loops).balance(balance);
    let group = group.listen(format!("unix://{}", path.display()), |_| Here).expect("a socket");
    (group.start().expect("loops"), path)
}

/// Where nobody listens.
pub fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("marline-group-{}-{number}", std::process::id()))
}

pub fn port(running: &Running) -> SocketAddr {
    running.addresses()[0].as_inet().expect("an address of the internet")
}

/// A client that was told who serves it.
pub struct Client<S> {
    pub index: usize,
    stream: BufReader<S>,
}

pub trait Socket: io::Read + io::Write + Sized {
    fn patient(self) -> io::Result<Self>;
}

impl Socket for TcpStream {
    fn patient(self) -> io::Result<Self> {
        self.set_read_timeout(Some(PATIENCE))?;
        Ok(self)
    }
}

impl Socket for UnixStream {
    fn patient(self) -> io::Result<Self> {
        self.set_read_timeout(Some(PATIENCE))?;
        Ok(self)
    }
}

impl<S: Socket> Client<S> {
    pub fn over(socket: S) -> io::Result<Self> {
        let mut stream = BufReader::new(socket.patient()?);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let index = line.trim().parse().map_err(|_| io::Error::other(format!("told {line:?}")))?;
        Ok(Self { index, stream })
    }

    /// Sends something, and is answered the same.
    pub fn echo(&mut self) -> io::Result<()> {
        self.stream.get_mut().write_all(b"hello")?;
        let mut answer = [0; 5];
        self.stream.read_exact(&mut answer)?;
        if answer == *b"hello" { Ok(()) } else { Err(io::Error::other("another answer")) }
    }

    /// What comes until the end.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }
}

/// Connects, and waits until it is served.
pub fn connect(address: SocketAddr) -> io::Result<Client<TcpStream>> {
    Client::over(TcpStream::connect(address)?)
}

pub fn connect_unix(path: &PathBuf) -> io::Result<Client<UnixStream>> {
    Client::over(UnixStream::connect(path)?)
}

/// What the loops of the group count.
pub fn stats(group: &GroupHandle) -> GroupStats {
    let (sender, receiver) = channel();
    group.stats(move |stats| sender.send(stats).expect("somebody waits"));
    receiver.recv_timeout(PATIENCE).expect("an answer")
}

/// Where the end of a restart is told.
pub fn told() -> (impl FnOnce(Rolled) + Send + 'static, Receiver<Rolled>) {
    let (sender, receiver) = channel();
    (move |rolled| sender.send(rolled).expect("somebody waits"), receiver)
}

/// Keeps a loop busy until the test lets it go.
pub fn hold_up(group: &GroupHandle, index: usize) -> impl FnOnce() + use<> {
    let (entered, is_entered) = channel();
    let (release, is_released) = channel::<()>();
    let block = move || {
        entered.send(()).expect("a test");
        let _ = is_released.recv();
    };
    group.remote(index).post(block).expect("a loop");
    is_entered.recv_timeout(PATIENCE).expect("a loop");
    move || drop(release)
}

pub fn restart(running: &Running, limit: Duration) -> Rolled {
    let (tell, rolled) = told();
    running.handle().restart(limit, tell);
    rolled.recv_timeout(PATIENCE).expect("an answer")
}
