//! A server with TLS by tokio-rustls, on Tokio's runtime of one thread:
//! `bench-tokio-rustls tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use std::io;

use marline_bench::role::Role;
use marline_bench::serve::tokio::{echo, sink, source};
use marline_bench::{peer, secure};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn main() -> marline::Result<()> {
    let acceptor = TlsAcceptor::from(secure::server_config()?);
    let role = Role::of_arguments();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(peer::address()).await?;
        peer::greet(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                let stream = acceptor.accept(stream).await?;
                match role {
                    Role::Echo => echo(stream).await,
                    Role::Source => source(stream).await,
                    Role::Sink => sink(stream).await,
                    // Nobody asks for these over TLS.
                    Role::Lines | Role::Relay | Role::Timed => Err(io::ErrorKind::Unsupported.into()),
                }
            });
        }
    })
}
