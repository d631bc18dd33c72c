//! A server in callbacks, on the backend that `MARLINE_BACKEND` names: `bench-callbacks tcp://127.0.0.1:0 BUFFER ROLE`.
use marline::prelude::*;
use marline_bench::lateness;
use marline_bench::role::Role;
use marline_bench::sends;
use marline_bench::serve::callbacks::{Answers, Echo, PacedEcho, Relay, Sink, Source};

fn main() -> Result<()> {
    let endpoint = endpoint_arg("tcp://127.0.0.1:0");
    // Each role is a server of its own type: none pays for the choice with a request.
    match Role::of_arguments() {
        Role::Echo => marline::serve(endpoint, |_| Echo),
        Role::Source => marline::serve(endpoint, |_| Source::default()),
        Role::Sink => marline::serve(endpoint, |_| Sink::default()),
        Role::Lines => marline::serve(endpoint, |_| Lines(Answers)),
        Role::Relay => relay(&endpoint),
        Role::Timed => timed(&endpoint),
    }
}

fn relay(endpoint: &str) -> Result<()> {
    let (reactor, relay) = (Reactor::new()?, Relay::default());
    let server = reactor.handle().listen(endpoint, move |_: &Addresses| Lines(relay.clone()))?;
    sends::watch(&reactor.handle())?;
    println!("{}", greeting(&server.local_address().ok_or("the server has no address")?));
    Ok(reactor.run()?)
}

fn timed(endpoint: &str) -> Result<()> {
    let reactor = Reactor::new()?;
    let server = reactor.handle().listen(endpoint, |_: &Addresses| PacedEcho)?;
    lateness::watch(&reactor.handle())?;
    println!("{}", greeting(&server.local_address().ok_or("the server has no address")?));
    Ok(reactor.run()?)
}
