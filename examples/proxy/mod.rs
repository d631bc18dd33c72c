//! The PROXY protocol: a line or a few bytes before everything else, by which a proxy tells a server whom it speaks for.
//!
//! It is that of HAProxy (`doc/proxy-protocol.txt`), version 1 in words and version 2 in bytes.
//!
//! * `header`: what a header says, and both of its forms.
//! * `filter`: who reads one at the beginning of a connection, and who sends one.
//! * `kind`: endpoints `proxy://HOST:PORT` and `proxy+unix://PATH`, which have one of them each.
//!
//! All of it is written with the public interface of filters and endpoints, as any program might.

mod filter;
mod header;
mod kind;

pub(crate) use filter::{Announce, Expect};
pub(crate) use header::{Header, HeaderError, Version};
pub(crate) use kind::register;
