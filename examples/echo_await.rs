//! An echo server, written with async/await: the same as `echo_callback`, a task for each connection.
//!
//! `cargo run --example echo_await -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000` and type.
use marline::prelude::*;

fn main() -> Result<()> {
    marline::run(async {
        let listener = Listener::bind(endpoint_arg("tcp://127.0.0.1:8000"))?;
        println!("{}", greeting(&listener.local_address()?));
        loop {
            let stream = listener.accept().await?;
            spawn(async move { copy(&stream, &stream).await });
        }
    })
}
