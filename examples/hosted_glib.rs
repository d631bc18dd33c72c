//! An echo server, a timer and another thread on a loop that GLib's main loop drives, as in a program with windows.
//!
//! `cargo run --example hosted_glib --features glib -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000`. Each second it
//! tells how many turns were made: while nobody talks to it, one in a second, for the timer that says so. A line
//! `quit` ends it.

mod glib_host;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use glib::MainLoop;
use marline::prelude::*;

struct Echo;

impl LineProtocol for Echo {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        match line {
            b"quit" => transport.handle().shutdown(),
            _ => _ = transport.write([line, b"\n"].concat()),
        }
    }
}

/// What a program does with our loop is the same under any host.
fn program(handle: &Handle) -> Result<()> {
    let server = handle.listen(endpoint_arg("tcp://127.0.0.1:8000"), |_: &Addresses| Lines(Echo))?;
    println!("{}", greeting(&server.local_address().ok_or("no address")?));

    let (counted, before) = (handle.clone(), Cell::new(0));
    handle.call_every(Duration::from_secs(1), move || {
        let turns = counted.stats().turns;
        println!(
            "{} turns in this second, {} connections",
            turns - before.replace(turns),
            server.connections()
        );
    });

    let (posts, remote) = (Rc::new(Cell::new(0)), handle.remote());
    let seen = Rc::clone(&posts);
    let signal = handle.signal(move || seen.set(seen.get() + 1));
    std::thread::spawn(move || {
        for number in 1..=3 {
            std::thread::sleep(Duration::from_millis(100));
            signal.raise();
            let _ = remote.post(move || println!("post {number} from another thread"));
        }
    });
    Ok(())
}

fn main() -> Result<()> {
    let reactor = Rc::new(Reactor::new()?);
    program(&reactor.handle())?;

    let main_loop = MainLoop::new(None, false);
    let host = main_loop.clone();
    let _driven = glib_host::drive(&reactor, move || host.quit())?;

    // GLib's own sources go on beside ours.
    glib::timeout_add_local_once(Duration::from_millis(50), || println!("a timer of GLib's"));
    main_loop.run();
    println!("{} turns in all", reactor.handle().stats().turns);
    Ok(())
}
