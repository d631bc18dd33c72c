//! A filter of one's own: the PROXY header of HAProxy, by which a server behind a proxy learns who its clients are.
//!
//! `cargo run --example proxy_header -- proxy://127.0.0.1:8000` greets each client by its real address. In another terminal
//! `curl --http0.9 --haproxy-protocol http://127.0.0.1:8000/` is greeted, and so is somebody who speaks for another:
//! `cargo run --example proxy_header -- --connect 'proxy://127.0.0.1:8000?version=2&source=192.0.2.7:4711'`.
//!
//! `proxy+unix:///tmp/proxy.sock` does the same at a UNIX socket. The filter is in `examples/proxy/`.
#[allow(dead_code, unused_imports)]
mod proxy;

use marline::prelude::*;

/// Greets, and goes when the client has said anything.
struct Greeter;

impl Protocol for Greeter {
    fn connection_made(&mut self, transport: &Transport) {
        let Some(peer) = transport.peer_address() else { return };
        transport.write(format!("hello {peer}\n"));
        // Which version it was, and what else it said.
        if let Some(header) = transport.published::<proxy::Header>() {
            eprintln!("{header:?}");
        }
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        transport.close();
    }
}

/// Shows what the server says first.
async fn greeting_of(endpoint: String) -> Result<()> {
    let stream = Stream::connect(endpoint).await?;
    let mut lines = Framed::new(&stream, LineParser::new());
    let line = lines.try_next().await?.ok_or("no greeting")?;
    println!("{}", String::from_utf8_lossy(line));
    Ok(())
}

fn main() -> Result<()> {
    proxy::register()?;
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--connect"), Some(endpoint)) => marline::run(greeting_of(endpoint)),
        (Some("--connect"), None) => Err("usage: proxy_header [--connect] ENDPOINT".into()),
        (endpoint, _) => marline::serve(endpoint.unwrap_or("proxy://127.0.0.1:8000"), |_| Greeter),
    }
}
