//! A server in async/await, on the backend that `MARLINE_BACKEND` names: `bench-async tcp://127.0.0.1:0 BUFFER ROLE`.
use marline::prelude::*;
use marline_bench::lateness;
use marline_bench::role::Role;
use marline_bench::sends;
use marline_bench::serve::tasks::{self, Everyone};

fn main() -> Result<()> {
    let role = Role::of_arguments();
    marline::run(async move {
        let listener = Listener::bind(endpoint_arg("tcp://127.0.0.1:0"))?;
        println!("{}", greeting(&listener.local_address()?));
        if role == Role::Timed {
            spawn(echo(listener));
            return lateness::until_asked().await;
        }
        if role == Role::Echo {
            return echo(listener).await;
        }
        if role == Role::Relay {
            spawn(others(role, listener));
            return sends::until_asked().await;
        }
        others(role, listener).await
    })
}

async fn others(role: Role, listener: Listener) -> Result<()> {
    let everyone = Everyone::default();
    loop {
        let stream = listener.accept().await?;
        let everyone = everyone.clone();
        spawn(async move { tasks::serve(role, stream, everyone).await.ok() });
    }
}

async fn echo(listener: Listener) -> Result<()> {
    loop {
        let stream = listener.accept().await?;
        spawn(async move { copy(&stream, &stream).await.ok() });
    }
}
