//! Publish and subscribe, in lines, written with callbacks: whoever connects subscribes, and each line that anybody sends
//! is published to everyone.
//!
//! `cargo run --example pubsub -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000` in several terminals and type.
use marline::prelude::*;
use std::{cell::RefCell, rc::Rc};

#[derive(Clone, Default)]
struct Everyone(Rc<RefCell<Vec<Transport>>>);

impl LineProtocol for Everyone {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.borrow_mut().push(transport.clone());
    }
    fn line_received(&mut self, _: &Transport, line: &[u8]) {
        self.0.borrow().iter().for_each(|other| _ = other.write([line, b"\n"].concat()));
    }
    fn connection_lost(&mut self, transport: &Transport, _: &Lost) {
        self.0.borrow_mut().retain(|other| other != transport);
    }
}

fn main() -> Result<()> {
    let everyone = Everyone::default();
    marline::serve(endpoint_arg("tcp://127.0.0.1:8000"), move |_| Lines(everyone.clone()))
}
