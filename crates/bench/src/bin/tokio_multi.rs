//! An echo server on Tokio's runtime of several threads: `bench-tokio-multi tcp://127.0.0.1:0`.
use std::io;

use marline_bench::peer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(peer::workers()).enable_io().build()?;
    // What `#[tokio::main]` runs stays on the main thread; spawned, the one that accepts is a worker's task too.
    runtime.block_on(async { tokio::spawn(serve()).await? })
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(peer::address()).await?;
    peer::greet(listener.local_addr()?);
    let size = peer::buffer();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream, size));
    }
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
