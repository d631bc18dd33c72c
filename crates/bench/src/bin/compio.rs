//! An echo server on compio's io_uring driver: `bench-compio tcp://127.0.0.1:0`.
use std::io;

use compio::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::RuntimeBuilder;
use marline_bench::peer;

fn main() -> io::Result<()> {
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(peer::ENTRIES).driver_type(DriverType::IoUring);
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(peer::address()).await?;
        peer::greet(listener.local_addr()?);
        let size = peer::buffer();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            compio::runtime::spawn(echo(stream, size)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(size);
    loop {
        let BufResult(count, read) = stream.read(buffer).await;
        if count? == 0 {
            return Ok(());
        }
        let BufResult(written, mut read) = stream.write_all(read).await;
        written?;
        read.clear();
        buffer = read;
    }
}
