//! A C library finds the messages: JSON objects, by yajl, in front of a protocol of callbacks.
//!
//! `cargo run --example json_stream --features yajl -- tcp://127.0.0.1:8000`, and then in another terminal
//! `nc 127.0.0.1 8000`: each object that you type, on one line or on several, or in the middle of one, is answered with
//! its fields. It wants yajl on the system (Debian: libyajl-dev).

mod yajl;

use marline::prelude::*;

use yajl::{Message, Objects};

struct Session;

impl FrameProtocol for Session {
    type Parser = Objects;

    fn frame_received(&mut self, transport: &Transport, fields: Message) {
        for (key, value) in &fields {
            transport.write(format!("{key} is {value}\n"));
        }
        transport.write(format!("{} fields\n", fields.len()));
    }
}

fn main() -> Result<()> {
    marline::serve(endpoint_arg("tcp://127.0.0.1:8000"), |_| Frames(Session))
}
