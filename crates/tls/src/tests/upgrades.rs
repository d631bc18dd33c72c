//! TLS on connections that stand.

use marline_reactor::filter::{ReadAhead, ReadAheadRefused};

use super::*;
use crate::fixtures::client_and_server;

const PLACE: &str = "unix:///run/plain.sock";

/// Listens without TLS, for one connection.
fn plain(handle: &Handle, log: Log) -> Server {
    let mut log = Some(log);
    handle.listen(PLACE, move |_: &Addresses| log.take().expect("one connection")).expect("a listener")
}

/// A server that begins TLS when it is asked to.
fn upgrading(trace: &Rc<Trace>, server: ServerTls, read_ahead: ReadAhead) -> Log {
    Log::new(trace).on_data(move |transport, data| {
        if transport.tls().is_some() {
            transport.write(b"what was encrypted: ");
            transport.write(data);
        } else {
            transport.write(b"go ahead\n");
            transport.start_tls(server.filter(), read_ahead).unwrap();
        }
    })
}

#[test]
fn both_sides_upgrade_and_keep_their_protocols() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
        let mut asked = false;
        let serving = Log::new(&there).on_data(move |transport, data| {
            if transport.tls().is_some() {
                transport.write(data);
            } else if !std::mem::replace(&mut asked, true) {
                transport.write(b"!");
                transport.start_tls(server.filter(), ReadAhead::Feed).unwrap();
            }
        });
        let _server = plain(&memory.handle(), serving);
        let asking = Log::new(&here)
            .on_made(|transport| {
                transport.write(b"?");
            })
            .on_data(move |transport, data| {
                if data == b"!" && transport.tls().is_none() {
                    transport.start_tls(client.filter("a.example").unwrap(), ReadAhead::Refuse).unwrap();
                    transport.write(b"a secret");
                }
            });
        memory.handle().connect(PLACE, move |_: &Addresses| asking, |_| ());
        memory.pump();
        assert_eq!(here.events(), ["made", "data", "established", "data"]);
        assert_eq!(there.events(), ["made", "data", "established", "data"]);
        assert_eq!(*here.data.borrow(), b"!a secret");
        here.transport().close();
        memory.pump();
        for trace in [here, there] {
            assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
        }
    });
}

#[test]
fn bytes_that_came_too_early_are_refused_or_fed_to_tls_and_never_delivered() {
    for (read_ahead, is_refused) in [(ReadAhead::Refuse, true), (ReadAhead::Feed, false)] {
        let memory = MemoryReactor::new();
        let (_, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let pausing = Log::new(&trace).on_made(Transport::pause_reading);
        let _server = plain(&memory.handle(), pausing);
        let peer = memory.connect(PLACE).unwrap();
        memory.pump();
        trace.transport().unread(b"RCPT TO: somebody\r\n");
        trace.transport().start_tls(server.filter(), read_ahead).unwrap();
        memory.pump();
        assert_eq!(trace.events(), ["made", "lost"]);
        match trace.reason() {
            Reason::Failed(error) if is_refused => assert!(error.is::<ReadAheadRefused>()),
            _ => assert!(trace.error().to_string().contains("is not TLS"), "{}", trace.error()),
        }
        drop(peer);
    }
}

#[test]
fn the_answer_leaves_as_it_is_before_the_handshake() {
    let memory = MemoryReactor::new();
    let (_, server) = client_and_server();
    let trace = Rc::new(Trace::default());
    let _server = plain(&memory.handle(), upgrading(&trace, server, ReadAhead::Refuse));
    let peer = memory.connect(PLACE).unwrap();
    peer.write(b"STARTTLS\n");
    memory.pump();
    assert_eq!(peer.read(), b"go ahead\n");
    peer.write(b"no handshake at all");
    memory.pump();
    assert_eq!(trace.events(), ["made", "data", "lost"]);
    assert!(trace.error().to_string().contains("is not TLS"));
    assert_eq!(peer.read()[0], 21, "an alert");
}

#[test]
fn tls_runs_within_tls() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
        let outer = server.clone();
        let serving = Log::new(&there)
            .on_made(move |transport| {
                transport.start_tls(server.filter(), ReadAhead::Refuse).unwrap();
            })
            .on_data(|transport, data| {
                transport.write(data);
            });
        let _server = serve(&memory.handle(), PLACE, &outer, serving);
        let inner = client.clone();
        let asking = Log::new(&here).on_made(move |transport| {
            transport.start_tls(inner.filter("a.example").unwrap(), ReadAhead::Refuse).unwrap();
            transport.write(vec![3; 40_000]);
        });
        connect(&memory.handle(), PLACE, &client, asking);
        memory.pump();
        assert_eq!(here.events(), ["made", "established", "data"]);
        assert!(*here.data.borrow() == [3; 40_000]);
        here.transport().close();
        memory.pump();
        for trace in [here, there] {
            assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
        }
    });
}

#[test]
fn a_connection_that_closes_takes_no_filter() {
    let memory = MemoryReactor::new();
    let (_, server) = client_and_server();
    let trace = Rc::new(Trace::default());
    let _server = plain(&memory.handle(), Log::new(&trace));
    let _peer = memory.connect(PLACE).unwrap();
    memory.pump();
    trace.transport().close();
    assert!(trace.transport().start_tls(server.filter(), ReadAhead::Feed).is_err());
    assert!(trace.transport().tls().is_none());
}
