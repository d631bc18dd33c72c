//! A server with TLS in async/await, on the backend that `MARLINE_BACKEND` names:
//! `bench-tls-async tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use marline::prelude::*;
use marline_bench::role::Role;
use marline_bench::secure;
use marline_bench::serve::tasks::{self, Everyone};

fn main() -> Result<()> {
    let role = Role::of_arguments();
    marline::run(async move {
        let listener = Listener::bind(secure::endpoint()?)?;
        println!("{}", greeting(&listener.local_address()?));
        loop {
            let stream = listener.accept().await?;
            spawn(async move { tasks::serve(role, stream, Everyone::default()).await.ok() });
        }
    })
}
