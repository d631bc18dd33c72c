//! A server with TLS in async/await, on the backend that `MARLINE_BACKEND` names:
//! `bench-tls-async tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use std::io;

use marline::prelude::*;
use marline_bench::peer;
use marline_bench::secure::{self, CHUNK, FILLER, Role, UNIT, Units};

fn main() -> Result<()> {
    let role = Role::of_arguments();
    marline::run(async move {
        let listener = Listener::bind(secure::endpoint()?)?;
        println!("{}", greeting(&listener.local_address()?));
        loop {
            let stream = listener.accept().await?;
            spawn(async move {
                match role {
                    Role::Echo => echo(stream).await,
                    Role::Source => source(stream).await,
                    Role::Sink => sink(stream).await,
                }
            });
        }
    })
}

async fn echo(stream: Stream) -> io::Result<()> {
    copy(&stream, &stream).await?;
    stream.close().await
}

async fn source(stream: Stream) -> io::Result<()> {
    let (chunk, mut buffer) = (vec![FILLER; CHUNK], [0; 64]);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.close().await;
        }
        for _ in 0..count * UNIT / CHUNK {
            stream.write_all(&chunk).await?;
        }
    }
}

async fn sink(stream: Stream) -> io::Result<()> {
    let (mut buffer, mut units) = (vec![0; peer::buffer()], Units::default());
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.close().await;
        }
        for _ in 0..units.complete(count) {
            stream.write_all(&[FILLER]).await?;
        }
    }
}
