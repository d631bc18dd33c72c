//! An echo server on smol's local executor: `bench-smol tcp://127.0.0.1:0`.
use std::io;
use std::net::{TcpListener, TcpStream};

use marline_bench::peer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor};

fn main() -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(peer::address())?;
        peer::greet(listener.get_ref().local_addr()?);
        let size = peer::buffer();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            executor.spawn(echo(stream, size)).detach();
        }
    }))
}

async fn echo(mut stream: Async<TcpStream>, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
