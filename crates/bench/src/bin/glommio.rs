//! An echo server on a local executor of glommio's: `bench-glommio tcp://127.0.0.1:0`.
use std::io;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{GlommioError, LocalExecutorBuilder, Placement};
use marline_bench::peer;

fn main() -> Result<(), GlommioError<()>> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(1024).make()?;
    executor.run(async {
        let listener = TcpListener::bind(peer::address())?;
        peer::greet(listener.local_addr()?);
        let size = peer::buffer();
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            glommio::spawn_local(echo(stream, size)).detach();
        }
    })
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
