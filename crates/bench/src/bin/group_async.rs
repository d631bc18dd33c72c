//! A loop on each core, in async/await, on the backend that `MARLINE_BACKEND` names: `bench-group-async tcp://127.0.0.1:0`.
use marline::prelude::*;
use marline_bench::peer;

fn main() -> Result<()> {
    let group = Group::new()?.loops(peer::workers()).pin(true);
    let group = group.listen_async(endpoint_arg("tcp://127.0.0.1:0"), |stream| async move {
        copy(&stream, &stream).await
    })?;
    peer::greet_all(&group.addresses())?;
    group.run()
}
