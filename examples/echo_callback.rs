//! An echo server, written with callbacks: what comes in goes out again.
//!
//! `cargo run --example echo_callback -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000` and type.
//!
//! A closure is a protocol too, so the shortest form is `|_| |t: &Transport, data: &[u8]| t.write(data)`.
use marline::prelude::*;

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

fn main() -> Result<()> {
    marline::serve(endpoint_arg("tcp://127.0.0.1:8000"), |_| Echo)
}
