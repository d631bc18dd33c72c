//! A filter that a user wrote, with the public interface alone: the header of the PROXY protocol, from `examples/proxy/`.
//!
//! * `expecting`: servers, and what becomes of headers good and bad; `announcing`: clients and proxies.
//! * `tasks`: both in async code.
//! * `peers`: a program of others.
//! * `samples`: headers, byte by byte as the specification has them.
//!
//! The worlds are those of the conformance suite.

#![allow(missing_docs, unreachable_pub)]

mod announcing;
mod expecting;
mod peers;
#[allow(dead_code)]
#[path = "../../examples/proxy/mod.rs"]
mod proxy;
mod samples;
#[allow(dead_code, unused_imports)]
#[path = "../conformance/support/mod.rs"]
mod support;
mod tasks;

use std::sync::Once;

use support::{World, free_path};

/// Somewhere to listen for connections with a header, over what this world's connections go over.
fn endpoint(world: &World) -> String {
    register();
    if world.is_unix() {
        format!("proxy+unix://{}", free_path().display())
    } else {
        "proxy://127.0.0.1:0".to_owned()
    }
}

/// The kinds belong to the process.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| proxy::register().expect("two schemes"));
}
