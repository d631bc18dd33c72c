//! One function, a test for every world with TLS.

/// Stamps tests of TLS over the backends and over what it runs on: TCP, UNIX sockets, a pair of pipes, a terminal in raw mode, wires
/// of memory in all their ways, and TLS.
#[macro_export]
macro_rules! secured {
    ($($(#[$attribute:meta])* fn $name:ident($world:ident: &World) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            fn body($world: &World) $body

            #[test]
            fn readiness_tcp() {
                $crate::support::World::on_readiness_at($crate::support::Place::Loopback, body);
            }

            #[test]
            fn readiness_unix() {
                $crate::support::World::on_readiness_at($crate::support::Place::Unix, body);
            }

            #[test]
            fn readiness_pipes() {
                $crate::support::World::on_readiness_at($crate::support::Place::Pipes, body);
            }

            #[test]
            fn readiness_terminal() {
                $crate::support::World::on_readiness_at($crate::support::Place::Terminal, body);
            }

            #[test]
            fn readiness_tls() {
                $crate::support::World::on_readiness_at($crate::support::Place::Within, body);
            }

            #[test]
            fn completion_tcp() {
                $crate::support::World::on_completion_at($crate::support::Place::Loopback, body);
            }

            #[test]
            fn completion_unix() {
                $crate::support::World::on_completion_at($crate::support::Place::Unix, body);
            }

            #[test]
            fn completion_pipes() {
                $crate::support::World::on_completion_at($crate::support::Place::Pipes, body);
            }

            #[test]
            fn completion_terminal() {
                $crate::support::World::on_completion_at($crate::support::Place::Terminal, body);
            }

            #[test]
            fn completion_tls() {
                $crate::support::World::on_completion_at($crate::support::Place::Within, body);
            }

            #[test]
            fn memory() {
                $crate::support::World::on_memory(body);
            }

            #[test]
            fn memory_single_bytes() {
                $crate::support::World::on_memory_with_single_bytes(body);
            }

            #[test]
            fn memory_seeded() {
                $crate::support::World::on_seeded_memory(body);
            }

            #[test]
            fn memory_terminal() {
                $crate::support::World::on_memory_at($crate::support::Place::Terminal, body);
            }

            #[test]
            fn memory_tls() {
                $crate::support::World::on_memory_at($crate::support::Place::Within, body);
            }

            #[test]
            fn memory_tls_single_bytes() {
                $crate::support::World::on_single_bytes_at($crate::support::Place::Within, body);
            }

            #[test]
            fn adversarial() {
                $crate::support::World::on_adversary(body);
            }

            #[test]
            fn adversarial_memory() {
                $crate::support::World::on_adversary_over_memory(body);
            }
        }
    )*};
}
