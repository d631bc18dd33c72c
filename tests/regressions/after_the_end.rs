//! Handles that outlive their loop are inert: they answer, and keep nothing alive.
//!
//! What a program hands over usually holds a handle. A loop that kept it after its end would hold itself alive for ever.

use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{
    Addresses, Connecting, Failure, Handle, ListenError, Phase, Protocol, Server, Transport,
};

use crate::support::{Log, Trace, World};

/// What everything that is handed over holds.
type Token = Rc<()>;

/// A protocol that holds a token.
struct Holds(Token);

impl Protocol for Holds {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        assert!(Rc::strong_count(&self.0) > 0);
    }
}

fn holding(token: &Token, handle: &Handle) -> impl Fn() + use<> {
    let (token, handle) = (Rc::clone(token), handle.clone());
    move || assert!(Rc::strong_count(&token) > 0 && handle.is_over())
}

/// Everything that a program can hand to a loop, handed to one that is over.
fn hand_over_everything(handle: &Handle, token: &Token, transport: &Transport, server: &Server) {
    let held = || holding(token, handle);
    assert!(!handle.call_soon(held()).is_waiting());
    assert_eq!(handle.call_later(Duration::from_secs(1), held()).deadline(), None);
    assert_eq!(handle.call_every(Duration::from_secs(1), held()).deadline(), None);
    let signal = handle.signal(held());
    signal.raise();
    drop(signal);
    let (hook, handler, lost, error) = (held(), held(), held(), held());
    handle.on_shutdown(Phase::After, move |_| hook());
    handle.on_failure(move |_: &Failure| handler());
    server.on_stopped(held());
    server.on_lost(move |_, _| lost());
    server.on_error(move |_| error());
    server.stop();
    let factory = held();
    let listening = handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        factory();
        Trace::new(&Log::new())
    });
    assert!(matches!(listening, Err(ListenError::Over)));
    assert!(!connect(handle, held(), held()).is_pending());
    assert!(transport.set_protocol(Holds(Rc::clone(token)), b"unread").is_err());
    assert!(!transport.write(b"x").is_accepted());
    handle.shutdown();
    handle.stop();
    drop(handle.keep_alive());
}

fn connect(handle: &Handle, in_factory: impl Fn() + 'static, in_done: impl Fn() + 'static) -> Connecting {
    let factory = move |_: &Addresses| {
        in_factory();
        Trace::new(&Log::new())
    };
    handle.connect("tcp://127.0.0.1:1", factory, move |_| in_done())
}

fn nothing_is_kept(world: World) {
    let token = Token::default();
    let handle = world.handle();
    let (transport, _raw) = world.accept_one(Holds(Rc::clone(&token)));
    let server = world.listen(|_| Trace::new(&Log::new()));
    drop(world);
    assert_eq!(Rc::strong_count(&token), 1, "the loop's end leaves nothing");
    hand_over_everything(&handle, &token, &transport, &server);
    assert_eq!(
        Rc::strong_count(&token),
        1,
        "{} things are kept by a loop that has ended",
        Rc::strong_count(&token) - 1
    );
    assert!(handle.is_over() && handle.local(|_| 1_u8).is_none());
    assert_eq!((handle.stats().connections, handle.stats().timers, handle.stats().ready), (0, 0, 0));
}

/// After a shutdown the loop still stands, but never runs again; its end drops what it took meanwhile.
fn nothing_is_kept_after_a_shutdown(world: World) {
    let token = Token::default();
    let handle = world.handle();
    let (transport, _raw) = world.accept_one(Holds(Rc::clone(&token)));
    let server = world.listen(|_| Trace::new(&Log::new()));
    handle.shutdown();
    world.run();
    assert_eq!(Rc::strong_count(&token), 1, "a shutdown drops the protocols");
    let held = || holding(&token, &handle);
    handle.call_soon(held());
    handle.call_later(Duration::from_secs(1), held());
    let (hook, handler) = (held(), held());
    handle.on_shutdown(Phase::After, move |_| hook());
    handle.on_failure(move |_: &Failure| handler());
    server.on_stopped(held());
    assert!(transport.set_protocol(Holds(Rc::clone(&token)), b"").is_err());
    assert!(!connect(&handle, held(), held()).is_pending());
    drop(world);
    assert_eq!(Rc::strong_count(&token), 1);
}

#[test]
fn a_loop_that_has_ended_keeps_nothing_on_readiness() {
    World::owned_on_readiness(nothing_is_kept);
}

#[test]
fn a_loop_that_has_ended_keeps_nothing_on_completion() {
    World::owned_on_completion(nothing_is_kept);
}

#[test]
fn a_loop_that_has_ended_keeps_nothing_on_memory() {
    World::owned_on_memory(nothing_is_kept);
}

#[test]
fn nor_does_one_that_was_shut_down_on_readiness() {
    World::owned_on_readiness(nothing_is_kept_after_a_shutdown);
}

#[test]
fn nor_does_one_that_was_shut_down_on_completion() {
    World::owned_on_completion(nothing_is_kept_after_a_shutdown);
}

#[test]
fn nor_does_one_that_was_shut_down_on_memory() {
    World::owned_on_memory(nothing_is_kept_after_a_shutdown);
}
