//! M: what a traffic log tells.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use marline_reactor::Transport;
use marline_reactor::policy::TrafficLog;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::conformance;
use crate::support::{Log, Trace, World};

/// An event: its fields, as text.
#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }
}

/// The events of the log's target.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Fields>>>);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "marline::traffic" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields);
        }
    }
}

impl Seen {
    fn all(&self) -> Vec<Fields> {
        self.0.lock().unwrap().clone()
    }

    fn bytes(&self, direction: &str) -> u64 {
        let all = self.all();
        all.iter()
            .filter(|fields| fields.get("direction") == direction)
            .map(|fields| fields.number("bytes"))
            .sum()
    }
}

/// A connection under a log: `hello` comes, is answered twice over, and a task of the loop's says `bye`.
fn converse(world: &World, level: LevelFilter, hex: usize) -> (Seen, String) {
    let seen = Seen::default();
    // The level is everybody's: filters of single layers share what they know among threads, and tests run beside each other.
    let subscriber = tracing_subscriber::registry().with(level).with(seen.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let log = Log::new();
    let protocol = Trace::new(&log).with(|transport: &Transport, _, data| {
        transport.write(data);
        transport.write(data);
    });
    let (transport, raw) = world.accept_one(TrafficLog::new("test", protocol).with_hex(hex));
    let peer = transport.peer_address().map(|peer| peer.to_string()).unwrap_or_default();
    raw.write(b"hello");
    assert_eq!(world.read(&raw, 10).len(), 10);
    transport.write(b"bye");
    assert_eq!(world.read(&raw, 3), b"bye");
    raw.finish();
    world.until(|| log.is_lost());
    (seen, peer)
}

conformance! {
    fn a_log_tells_who_moves_how_much(world: &World) {
        let (seen, peer) = converse(world, LevelFilter::TRACE, 3);
        let all = seen.all();
        assert!(all.iter().all(|fields| fields.get("log") == "test" && fields.get("peer") == peer), "{all:?}");
        let first = all[0].get("connection");
        assert!(!first.is_empty() && all.iter().all(|fields| fields.get("connection") == first), "{all:?}");
        assert_eq!((seen.bytes("in"), seen.bytes("out")), (5, 13), "{all:?}");
        let hex: String = all.iter().map(|fields| fields.get("hex")).collect();
        if !world.is_seeded() {
            assert_eq!(hex, "68656c..");
        }
        assert!(hex.starts_with("68"), "{hex}");
        assert_eq!(all[0].get("message"), "connected");
        let last = &all[all.len() - 1];
        assert_eq!((last.number("received"), last.number("sent")), (5, 13));
        assert_eq!(last.get("message"), "the connection ended");
        assert!(all.iter().any(|fields| fields.get("message") == "the peer ended its direction"));
    }

    fn a_log_says_no_more_than_it_is_asked(world: &World) {
        let (seen, _) = converse(world, LevelFilter::TRACE, 0);
        assert!(seen.all().iter().all(|fields| fields.get("hex").is_empty()));
        assert_eq!(seen.bytes("in"), 5);
        let (seen, _) = converse(world, LevelFilter::DEBUG, 8);
        let messages: Vec<String> = seen.all().iter().map(|fields| fields.get("message").to_owned()).collect();
        assert_eq!(messages, ["connected", "the connection ended"]);
        assert!(converse(world, LevelFilter::OFF, 8).0.all().is_empty());
    }
}
