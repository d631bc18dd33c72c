//! An echo server in callbacks, on the backend that `MARLINE_BACKEND` names: `bench-callbacks tcp://127.0.0.1:0`.
use marline::prelude::*;

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

fn main() -> Result<()> {
    marline::serve(endpoint_arg("tcp://127.0.0.1:0"), |_| Echo)
}
