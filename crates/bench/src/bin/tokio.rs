//! A server on Tokio's runtime of one thread: `bench-tokio tcp://127.0.0.1:0 BUFFER ROLE`.
use std::io;

use marline_bench::peer;
use marline_bench::role::Role;
use marline_bench::serve::tokio::{Relay, answer, sink, source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

fn main() -> io::Result<()> {
    let role = Role::of_arguments();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(peer::address()).await?;
        peer::greet(listener.local_addr()?);
        let (size, mut relay) = (peer::buffer(), Relay::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match role {
                Role::Echo | Role::Timed => drop(spawn_local(echo(stream, size))),
                Role::Source => drop(spawn_local(source(stream))),
                Role::Sink => drop(spawn_local(sink(stream))),
                Role::Lines => drop(spawn_local(answer(stream))),
                Role::Relay => relay.add(stream),
            }
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
