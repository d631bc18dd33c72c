//! Step 2, the listener calls back: it asks for a protocol for each connection, and gets an async fn. The rest is as before.
use std::time::Duration;

use futures::AsyncBufReadExt;
use marline::prelude::*;

const PRICES: [(&str, u32); 3] = [("apple", 3), ("melon", 40), ("pear", 2)];

pub(super) fn main(endpoint: String) -> Result<()> {
    marline::serve(endpoint, conversation(session))
}

/// Each line names two things, and is answered with what they cost together.
async fn session(mut stream: Stream) -> Result<()> {
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer = add(line.trim_end()).await;
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
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
