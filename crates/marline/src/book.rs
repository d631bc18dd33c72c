//! The pages of the book, so that the programs in them are compiled and run with the doctests.

#[doc = include_str!("../../../docs/design.md")]
mod design {}

#[doc = include_str!("../../../docs/policies.md")]
mod policies {}
#[doc = include_str!("../../../docs/framing.md")]
mod framing {}

#[doc = include_str!("../../../docs/filters.md")]
mod filters {}

#[cfg(feature = "tls")]
#[doc = include_str!("../../../docs/tls.md")]
mod tls {}

#[doc = include_str!("../../../docs/names.md")]
mod names {}

#[doc = include_str!("../../../docs/threads.md")]
mod threads {}

#[doc = include_str!("../../../docs/group.md")]
mod group {}
#[doc = include_str!("../../../docs/terminals.md")]
mod terminals {}

#[doc = include_str!("../../../docs/processes.md")]
mod processes {}

#[doc = include_str!("../../../docs/testing.md")]
mod testing {}

#[doc = include_str!("../../../docs/backends.md")]
mod backends {}

#[doc = include_str!("../../../docs/io_uring.md")]
mod io_uring {}

#[doc = include_str!("../../../docs/hosting.md")]
mod hosting {}

#[doc = include_str!("../../../docs/safety.md")]
mod safety {}

#[doc = include_str!("../../../docs/dependencies.md")]
mod dependencies {}

#[doc = include_str!("../../../docs/migration.md")]
mod migration {}

#[doc = include_str!("../../../docs/debugging.md")]
mod debugging {}

#[doc = include_str!("../../../docs/datagrams.md")]
mod datagrams {}

#[doc = include_str!("../../../docs/transports.md")]
mod transports {}
