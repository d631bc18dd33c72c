//! A loop on each core: an echo server in callbacks on one port, and in async on another, which tells what the loops count.
//!
//! `cargo run --example group -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000`; every line that the other server, which says
//! where it is, gets is answered by the counts. SIGTERM and Ctrl-C drain the group, and a second one stops it; SIGHUP restarts one
//! loop after the other, and nobody who connects meanwhile is refused.
use std::time::Duration;

use futures::{AsyncBufReadExt, io::BufReader};
use marline::prelude::*;
use marline::{DrainHook, OnSignal, Report};

/// How long clients may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Echo {
    goodbye: Option<DrainHook>,
}

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        // Clients that would stay for ever are told when it ends.
        let transport = transport.clone();
        let goodbye = move || {
            transport.write("this loop ends\n");
            transport.close();
        };
        self.goodbye = Worker::current().map(|worker| worker.on_drain(goodbye));
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

/// Answers each line with a line for each loop.
async fn tell(stream: Stream) -> Result<()> {
    let group = GroupHandle::current().ok_or("no group")?;
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        for counts in group.stats_async().await?.loops {
            let (index, turns) = (counts.index, counts.stats.turns);
            let text = format!(
                "loop {index}: {} of {} connections stand, {turns} turns\n",
                counts.connections, counts.accepted
            );
            stream.write_all(text.as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}

fn main() -> Result<()> {
    let group = Group::new()?
        .name("echo")
        .on_signal(SignalKind::TERMINATE, OnSignal::Drain(PATIENCE))
        .on_signal(SignalKind::INTERRUPT, OnSignal::Drain(PATIENCE))
        .on_signal(SignalKind::HANGUP, OnSignal::Restart(PATIENCE))
        .listen(endpoint_arg("tcp://127.0.0.1:8000"), |_| Echo::default())?
        .listen_async("tcp://127.0.0.1:0", tell)?;
    // In one piece, as who starts it may read the first line and no more.
    let greetings: String = group.addresses().iter().map(|address| greeting(address) + "\n").collect();
    print!("{greetings}");
    let report: Report = group.start()?.join()?;
    println!("{} connections served, {} aborted", report.accepted(), report.aborted());
    Ok(())
}
