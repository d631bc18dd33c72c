//! What an idle connection with TLS costs under tokio-rustls: ours costs no more.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use marline_tests::counting::Counts;
use marline_tests::tls;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::Peers;
use super::tls::{CONNECTIONS, each, may_have_descriptors, of_callbacks, of_tasks};

/// How many messages were answered, and who waits for all of them.
#[derive(Default)]
struct Progress {
    echoed: Cell<usize>,
    all: Notify,
}

/// With a buffer that is as small as can be, since it is the program's.
async fn echo(acceptor: TlsAcceptor, stream: TcpStream, progress: Rc<Progress>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut buffer = [0; 16];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
        progress.echoed.set(progress.echoed.get() + 1);
        if progress.echoed.get() == CONNECTIONS {
            progress.all.notify_one();
        }
    }
}

fn of_tokio(config: Arc<ServerConfig>) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let acceptor = TlsAcceptor::from(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let mut peers = Peers::of("tls::secure_peers", address);
        let progress = Rc::new(Progress::default());
        let before = Counts::here();
        let shared = Rc::clone(&progress);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::task::spawn_local(echo(acceptor.clone(), stream, Rc::clone(&shared)));
            }
        });
        peers.order("connect");
        progress.all.notified().await;
        peers.confirm("done: connect");
        each(before)
    })
}

fn an_idle_connection_costs_no_more_than_elsewhere(backend: &str) {
    let _alone = crate::ALONE.lock();
    if !may_have_descriptors() {
        return;
    }
    let config = tls::server_config();
    let other = of_tokio(Arc::clone(&config));
    let (callbacks, tasks) =
        (of_callbacks(backend, Arc::clone(&config)), of_tasks(backend, Arc::clone(&config)));
    println!("{backend}: {callbacks} bytes in callbacks, {tasks} in tasks; {other} under tokio-rustls");
    assert!(callbacks <= other && tasks <= other, "{callbacks} and {tasks} bytes, {other} elsewhere");
}

marline_tests::on_sockets! {
    an_idle_connection_costs_no_more_than_elsewhere
}
