//! Many small datagrams over loopback, from one socket of a loop to another, and what they cost in system calls.
//!
//! `cargo run --example datagrams --release [COUNT]` sends a million of 32 bytes, and says how many calls that took and how many
//! were lost on the way. The variable `MARLINE_BACKEND` (`readiness`, `completion`) chooses the backend.
use marline::prelude::*;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// So many are on their way at a time: about as many small ones as a socket's buffer holds by default.
const WINDOW: u64 = 192;
const TOTAL: u64 = 1_000_000;

#[derive(Default)]
struct Flood {
    total: u64,
    sent: Cell<u64>,
    received: Cell<u64>,
    lost: Cell<u64>,
}

impl Flood {
    fn on_its_way(&self) -> u64 {
        self.sent.get() - self.received.get() - self.lost.get()
    }

    fn fill_window(&self, sender: &DatagramTransport) {
        while self.on_its_way() < WINDOW && self.sent.get() < self.total {
            let mut data = [0; 32];
            data[..8].copy_from_slice(&self.sent.get().to_be_bytes());
            if sender.send(data).is_err() {
                return;
            }
            self.sent.set(self.sent.get() + 1);
        }
    }

    fn is_over(&self) -> bool {
        self.received.get() + self.lost.get() >= self.total
    }
}

fn main() -> Result<()> {
    let total = std::env::args().nth(1).map_or(Ok(TOTAL), |count| count.parse())?;
    let flood = Rc::new(Flood { total, ..Flood::default() });
    let reactor = Reactor::new()?;
    let handle = reactor.handle();

    let counted = Rc::clone(&flood);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let count =
        move |_: &DatagramTransport, _: &[u8], _: &Address| counted.received.set(counted.received.get() + 1);
    let receiver = handle.bind_datagram(any, count)?;
    let target = receiver.local_address().ok_or("the socket is open")?;
    let sender = handle.connect_datagram(target, |_: &DatagramTransport, _: &[u8], _: &Address| {})?;

    // When half of a window has arrived, the rest of it follows.
    let (pacer, paced, stop) = (Rc::clone(&flood), sender.clone(), handle.clone());
    handle.before_sleep(move || {
        if pacer.on_its_way() <= WINDOW / 2 {
            pacer.fill_window(&paced);
        }
        if pacer.is_over() {
            stop.stop();
        }
    });
    // Whatever has not arrived by the time that nothing has arrived for a while is lost.
    let (judge, before, host) = (Rc::clone(&flood), Cell::new(0), handle.clone());
    handle.call_every(Duration::from_millis(200), move || {
        if before.replace(judge.received.get()) == judge.received.get() {
            judge.lost.set(judge.sent.get() - judge.received.get());
            // The loop looks again before it sleeps.
            host.call_soon(|| {});
        }
    });

    let begun = std::time::Instant::now();
    flood.fill_window(&sender);
    reactor.run()?;
    let (took, calls) = (begun.elapsed(), handle.stats().system_calls);
    let all = calls.waits + calls.receives + calls.sends + calls.registrations + calls.others;
    println!("{total} datagrams of 32 bytes in {took:?}: {} lost", flood.lost.get());
    println!("{all} system calls: {} sends, {} receives, {} waits", calls.sends, calls.receives, calls.waits);
    println!(
        "one call for each would be {}: {:.1} times as many",
        2 * total,
        2.0 * total as f64 / all as f64
    );
    Ok(())
}
