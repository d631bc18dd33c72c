//! One small server, written four times: each step moves one piece of it from async code to callbacks, and read backwards
//! they lead from callbacks to async code. `diff` two neighbours to see what a step takes; a test does so too.
//!
//! `cargo run --example migrate -- 1 tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000` and type `apple pear`. The first
//! argument is the step.
use marline::prelude::*;

mod step1_async;
mod step2_conversation;
mod step3_lines;
mod step4_callbacks;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let step = arguments.next().unwrap_or_default();
    let endpoint = arguments.next().unwrap_or_else(|| "tcp://127.0.0.1:8000".into());
    match step.as_str() {
        "1" => step1_async::main(endpoint),
        "2" => step2_conversation::main(endpoint),
        "3" => step3_lines::main(endpoint),
        "4" => step4_callbacks::main(endpoint),
        _ => Err("the first argument is the step: 1, 2, 3 or 4".into()),
    }
}
