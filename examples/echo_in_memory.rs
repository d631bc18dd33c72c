//! The echo servers without a network: both styles on the memory backend, with no descriptor, checked by scripted peers.
//!
//! `cargo run --example echo_in_memory` prints what was said; there is nothing to talk to.
use marline::prelude::*;
use marline::testing::{Chunking, MemoryReactor};

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

async fn serve(endpoint: &str) -> Result<()> {
    let listener = Listener::bind(endpoint)?;
    loop {
        let stream = listener.accept().await?;
        spawn(async move { copy(&stream, &stream).await });
    }
}

fn main() -> Result<()> {
    let memory = MemoryReactor::new();
    memory.network().set_chunking(Chunking::Fixed(5));
    memory.handle().listen("tcp://127.0.0.1:1", |_| Echo)?;
    marline::spawn_on(&memory.handle(), serve("tcp://127.0.0.1:2"));
    memory.pump();

    for (style, address) in [("callbacks", "127.0.0.1:1"), ("async", "127.0.0.1:2")] {
        let peer = memory.connect(address)?;
        peer.write(b"hello, world");
        memory.pump();
        let answer = String::from_utf8(peer.read())?;
        assert_eq!(answer, "hello, world");
        println!("{style}: {answer}");

        peer.finish();
        memory.pump();
        assert!(peer.is_finished(), "the server ends its direction too");
    }
    assert_eq!(memory.network().sockets(), 2, "only the listeners are left");
    Ok(())
}
