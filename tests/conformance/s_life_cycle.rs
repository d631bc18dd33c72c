//! S: the life cycle of a connection.

use crate::support::{Event, Log, Trace, World};
use crate::{conformance, streams};

streams! {
    fn s10_after_close_nothing_is_received(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Data(0), |transport| transport.close());
        let (_, raw) = world.accept_one(protocol);
        let payload = world.payload();
        raw.write(&payload);
        world.until(|| log.is_lost());
        let data = log.all().iter().filter(|event| matches!(event, Event::Data(_))).count();
        assert_eq!(data, 1);
    }
}

conformance! {
    fn s28_close_after_abort_changes_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.abort();
        transport.close();
        world.until(|| log.is_lost());
        world.until(|| raw.is_reset());
        assert_eq!(log.events(), [Event::Made, Event::Lost("Aborted".into())]);
    }
}
