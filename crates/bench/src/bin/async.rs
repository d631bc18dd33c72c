//! An echo server in async/await, on the backend that `MARLINE_BACKEND` names: `bench-async tcp://127.0.0.1:0`.
use marline::prelude::*;

fn main() -> Result<()> {
    marline::run(async {
        let listener = Listener::bind(endpoint_arg("tcp://127.0.0.1:0"))?;
        println!("{}", greeting(&listener.local_address()?));
        loop {
            let stream = listener.accept().await?;
            spawn(async move { copy(&stream, &stream).await.ok() });
        }
    })
}
