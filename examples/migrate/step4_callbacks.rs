//! Step 4, all callbacks: a look-up is given what to do with its outcome. No task is left.
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
        add(&transport.handle(), &line, move |answer| {
            transport.write(answer);
            transport.resume_reading();
        });
    }
}

fn add(handle: &Handle, line: &str, done: impl FnOnce(String) + 'static) {
    let (left, right) = line.split_once(' ').unwrap_or((line, ""));
    let (next, right) = (handle.clone(), right.to_owned());
    look_up(handle, left, move |left| {
        look_up(&next, &right, move |right| done(render(left, right)));
    });
}

fn render(left: Option<u32>, right: Option<u32>) -> String {
    match (left, right) {
        (Some(left), Some(right)) => format!("{}\n", left + right),
        _ => "unknown\n".into(),
    }
}

/// Takes a while, as a question to a database does.
fn look_up(handle: &Handle, name: &str, done: impl FnOnce(Option<u32>) + 'static) {
    let price = PRICES.iter().find(|(known, _)| *known == name).map(|(_, price)| *price);
    handle.call_later(Duration::from_millis(5), move || done(price));
}
