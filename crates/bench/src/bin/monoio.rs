//! An echo server on monoio's io_uring driver: `bench-monoio tcp://127.0.0.1:0`.
use std::io;

use marline_bench::peer;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};

fn main() -> io::Result<()> {
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().with_entries(peer::ENTRIES).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(peer::address())?;
        peer::greet(listener.local_addr()?);
        let size = peer::buffer();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(echo(stream, size));
        }
    })
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(size);
    loop {
        let (count, read) = stream.read(buffer).await;
        if count? == 0 {
            return Ok(());
        }
        let (written, mut read) = stream.write_all(read).await;
        written?;
        read.clear();
        buffer = read;
    }
}
