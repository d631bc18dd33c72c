//! One function, a test for every world.

/// Stamps tests over the backends: `fn w01_...(world: &World)`.
///
/// `conformance!` runs each on readiness, on completion, and on memory, tame and under 16 seeds, and with an adversary around
/// readiness and memory under 4. `streams!` does so too, again on memory with everything cut into single bytes, and on readiness and
/// completion over UNIX sockets, with and without descriptors on them, and with filters that change nothing or are TLS. Both give `world.payload()` a size that suits; on
/// real sockets and tame memory a stream test runs with a small payload and with megabytes.
#[macro_export]
macro_rules! conformance {
    ($($(#[$attribute:meta])* fn $name:ident($world:ident: &World) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            fn body($world: &World) $body

            #[test]
            fn readiness() {
                $crate::support::World::on_readiness(body);
            }

            #[test]
            fn completion() {
                $crate::support::World::on_completion(body);
            }

            #[test]
            fn memory() {
                $crate::support::World::on_memory(body);
            }

            #[test]
            fn memory_seeded() {
                $crate::support::World::on_seeded_memory(body);
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

/// As [`conformance!`], for sentences about streams of bytes.
#[macro_export]
macro_rules! streams {
    ($($(#[$attribute:meta])* fn $name:ident($world:ident: &World) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            fn body($world: &World) $body

            #[test]
            fn readiness() {
                $crate::support::World::on_readiness(body);
            }

            #[test]
            fn completion() {
                $crate::support::World::on_completion(body);
            }

            #[test]
            fn readiness_megabytes() {
                $crate::support::World::on_readiness_with_megabytes(body);
            }

            #[test]
            fn completion_megabytes() {
                $crate::support::World::on_completion_with_megabytes(body);
            }

            #[test]
            fn readiness_unix() {
                $crate::support::World::on_readiness_over_unix(body);
            }

            #[test]
            fn completion_unix() {
                $crate::support::World::on_completion_over_unix(body);
            }

            #[test]
            fn readiness_tls() {
                $crate::support::World::on_readiness_over_tls(body);
            }

            #[test]
            fn completion_tls() {
                $crate::support::World::on_completion_over_tls(body);
            }

            #[test]
            fn memory_tls() {
                $crate::support::World::on_memory_over_tls(body);
            }

            #[test]
            fn readiness_filtered() {
                $crate::support::World::on_readiness_through_filters(body);
            }

            #[test]
            fn completion_filtered() {
                $crate::support::World::on_completion_through_filters(body);
            }

            #[test]
            fn memory_filtered() {
                $crate::support::World::on_memory_through_filters(body);
            }

            #[test]
            fn adversarial_filtered() {
                $crate::support::World::on_adversary_through_filters(body);
            }

            #[test]
            fn memory() {
                $crate::support::World::on_memory(body);
            }

            #[test]
            fn memory_megabytes() {
                $crate::support::World::on_memory_with_megabytes(body);
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
