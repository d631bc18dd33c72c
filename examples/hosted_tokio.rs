//! A line server in callbacks whose loop is one future of Tokio's, and whose callbacks use Tokio's hyper to fetch pages.
//!
//! `cargo run --example hosted_tokio --features tokio -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000` and a line such
//! as `/some/page`: it is fetched from an HTTP server, which runs on our loop too, and the answer comes back as a line.
//! Each second it tells how many turns were made: while nobody talks to it, one. A line `quit` ends it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use marline::prelude::*;
use marline::{Reactor, Turned};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::task::LocalSet;

/// A small HTTP server in callbacks: whatever is asked for, it answers with the request's first line.
struct Web(Vec<u8>);

impl LineProtocol for Web {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [] => {
                let (length, asked) = (self.0.len(), String::from_utf8_lossy(&self.0));
                transport.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{asked}"));
                self.0.clear();
            }
            _ if self.0.is_empty() => self.0 = line.to_vec(),
            _ => {}
        }
    }
}

/// A page, by a client that knows nothing of our loop.
async fn fetch(web: SocketAddr, path: String) -> Result<String> {
    let stream = tokio::net::TcpStream::connect(web).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", web.to_string()).body(Empty::<Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

struct Session(SocketAddr);

impl LineProtocol for Session {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        if line == b"quit" {
            return transport.handle().shutdown();
        }
        let (web, path) = (self.0, String::from_utf8_lossy(line).into_owned());
        let transport = transport.clone();
        // Our handles are not `Send`, and need not be: the host's local tasks live on the same thread.
        tokio::task::spawn_local(async move {
            let answer = fetch(web, path).await.unwrap_or_else(|error| format!("failed: {error}"));
            transport.write(format!("{answer}\n"));
        });
    }
}

#[allow(unsafe_code)]
fn watched(descriptor: BorrowedFd<'_>) -> std::io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: D1: a borrowed descriptor is open, and the same one, as long as it is borrowed, which the result does.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

/// Our loop as a future: a turn whenever its descriptor is readable.
async fn guest(reactor: &Reactor) -> Result<Turned> {
    let descriptor = watched(reactor.pollable_fd()?.ok_or("this backend has no descriptor")?)?;
    loop {
        let mut ready = descriptor.readable().await?;
        let turned = reactor.turn(Some(Duration::ZERO))?;
        ready.clear_ready();
        if turned != Turned::GoesOn {
            return Ok(turned);
        }
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let handle = reactor.handle();
    let web = handle.listen("tcp://127.0.0.1:0", |_: &Addresses| Lines(Web(Vec::new())))?;
    let web = web.local_address().and_then(|address| address.as_inet()).ok_or("no address")?;
    let server =
        handle.listen(endpoint_arg("tcp://127.0.0.1:8000"), move |_: &Addresses| Lines(Session(web)))?;
    println!("{}", greeting(&server.local_address().ok_or("no address")?));

    let (counted, before) = (handle.clone(), Cell::new(0));
    handle.call_every(Duration::from_secs(1), move || {
        let turns = counted.stats().turns;
        println!("{} turns in this second", turns - before.replace(turns));
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = LocalSet::new().block_on(&runtime, guest(&reactor))?;
    println!("the loop has ended: {end:?}, after {} turns", handle.stats().turns);
    Ok(())
}
