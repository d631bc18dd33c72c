//! A loop on each core, in callbacks, on the backend that `MARLINE_BACKEND` names: `bench-group-callbacks tcp://127.0.0.1:0`.
use marline::prelude::*;
use marline_bench::peer;
use marline_bench::serve::callbacks::Echo;

fn main() -> Result<()> {
    let group = Group::new()?.loops(peer::workers()).pin(true);
    let group = group.listen(endpoint_arg("tcp://127.0.0.1:0"), |_| Echo)?;
    peer::greet_all(&group.addresses())?;
    group.run()
}
