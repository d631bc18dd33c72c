//! W: writing and write flow control.

use marline_reactor::WriteStatus;
use rustix::io::Errno;

use crate::conformance;
use crate::support::{Event, Log, Trace, World};

conformance! {
    fn w03_a_shortage_keeps_the_bytes_and_retries(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            faults.fail_sends([Errno::AGAIN; 5]);
            let before = faults.asked().sends;
            assert_eq!(transport.write(b"kept"), WriteStatus::Ok);
            world.turn();
            assert_eq!(transport.buffered(), 4);
            world.until(|| faults.is_over() && transport.buffered() == 0);
            // Five refusals and one success (which memory may cut into four), and not one call in between.
            let sends = faults.asked().sends - before;
            assert!((6..=9).contains(&sends), "{sends} sends");
            assert_eq!(log.events(), [Event::Made]);
            let mut seen = Vec::new();
            while seen.len() < 4 {
                seen.extend(raw.read());
            }
            assert_eq!(seen, b"kept");
        });
    }
}
