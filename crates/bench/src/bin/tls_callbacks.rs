//! A server with TLS in callbacks, on the backend that `MARLINE_BACKEND` names:
//! `bench-tls-callbacks tcp://127.0.0.1:0 BUFFER echo|source|sink`.
use marline::prelude::*;
use marline_bench::role::Role;
use marline_bench::secure;
use marline_bench::serve::callbacks::{Echo, Sink, Source};

fn main() -> Result<()> {
    let role = Role::of_arguments();
    marline::serve(secure::endpoint()?, move |_: &Addresses| -> Option<Box<dyn Protocol>> {
        match role {
            Role::Echo => Some(Box::new(Echo)),
            Role::Source => Some(Box::new(Source::default())),
            Role::Sink => Some(Box::new(Sink::default())),
            // Nobody asks for these over TLS.
            Role::Lines | Role::Relay | Role::Timed => None,
        }
    })
}
