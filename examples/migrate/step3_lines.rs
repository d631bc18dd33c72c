//! Step 3, the wire calls back: lines come to a protocol, which starts a task for each. Look-ups are still awaited.
use std::time::Duration;

use marline::prelude::*;

const PRICES: [(&str, u32); 3] = [("apple", 3), ("melon", 40), ("pear", 2)];

pub(super) fn main(endpoint: String) -> Result<()> {
    marline::serve(endpoint, |_| Lines(Session))
}

/// Each line names two things, and is answered with what they cost together.
struct Session;

impl LineProtocol for Session {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        // The next line comes when this one is answered, so that the answers keep their order.
        transport.pause_reading();
        let (transport, line) = (transport.clone(), String::from_utf8_lossy(line).into_owned());
        spawn(async move {
            transport.write(add(&line).await);
            transport.resume_reading();
        });
    }
}

async fn add(line: &str) -> String {
    let (left, right) = line.split_once(' ').unwrap_or((line, ""));
    let (left, right) = (look_up(left).await, look_up(right).await);
    render(left, right)
}

fn render(left: Option<u32>, right: Option<u32>) -> String {
    match (left, right) {
        (Some(left), Some(right)) => format!("{}\n", left + right),
        _ => "unknown\n".into(),
    }
}

/// Takes a while, as a question to a database does.
async fn look_up(name: &str) -> Option<u32> {
    sleep(Duration::from_millis(5)).await;
    PRICES.iter().find(|(known, _)| *known == name).map(|(_, price)| *price)
}
