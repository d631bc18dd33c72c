//! A server with TLS in callbacks, on the backend that `MARLINE_BACKEND` names:
//! `bench-tls-callbacks tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use marline::prelude::*;
use marline_bench::secure::{self, CHUNK, FILLER, Role, UNIT, Units};

static FULL: [u8; CHUNK] = [FILLER; CHUNK];

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

/// Sends what was asked for, as long as the connection takes it.
#[derive(Default)]
struct Source {
    owed: usize,
}

impl Source {
    fn go_on(&mut self, transport: &Transport) {
        while self.owed > 0 {
            self.owed -= 1;
            if transport.write(&FULL[..]) != WriteStatus::Ok {
                transport.notify_drained();
                return;
            }
        }
    }
}

impl Protocol for Source {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        let was_idle = self.owed == 0;
        self.owed += data.len() * UNIT / CHUNK;
        if was_idle {
            self.go_on(transport);
        }
    }

    fn drained(&mut self, transport: &Transport) {
        self.go_on(transport);
    }
}

#[derive(Default)]
struct Sink {
    units: Units,
}

impl Protocol for Sink {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        for _ in 0..self.units.complete(data.len()) {
            transport.write([FILLER]);
        }
    }
}

fn main() -> Result<()> {
    let role = Role::of_arguments();
    marline::serve(secure::endpoint()?, move |_: &Addresses| -> Box<dyn Protocol> {
        match role {
            Role::Echo => Box::new(Echo),
            Role::Source => Box::new(Source::default()),
            Role::Sink => Box::new(Sink::default()),
        }
    })
}
