//! A server with TLS by tokio-rustls, on Tokio's runtime of one thread:
//! `bench-tokio-rustls tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use marline_bench::peer;
use marline_bench::secure::{self, CHUNK, FILLER, Role, UNIT, Units};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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
                }
            });
        }
    })
}

async fn echo(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; peer::buffer()];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
    }
}

async fn source(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let (chunk, mut buffer) = (vec![FILLER; CHUNK], [0; 64]);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        for _ in 0..count * UNIT / CHUNK {
            stream.write_all(&chunk).await?;
        }
        stream.flush().await?;
    }
}

async fn sink(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let (mut buffer, mut units) = (vec![0; peer::buffer()], Units::default());
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        for _ in 0..units.complete(count) {
            stream.write_all(&[FILLER]).await?;
        }
        stream.flush().await?;
    }
}
