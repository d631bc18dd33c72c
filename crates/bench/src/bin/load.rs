//! The process that makes requests to a server: `bench-load PLAN`, with the plan and what it answers in JSON.
use std::io::{self, Write};

use marline_bench::load;

fn main() -> marline::Result<()> {
    let plan = std::env::args().nth(1).ok_or("usage: bench-load PLAN")?;
    let plan = serde_json::from_str(&plan)?;
    load::run(&plan, &mut |line| {
        let text = serde_json::to_string(line).unwrap_or_else(|error| error.to_string());
        // The runner is the only reader; when it is gone, nobody wants the rest.
        if writeln!(io::stdout().lock(), "{text}").is_err() {
            std::process::exit(1);
        }
    })?;
    Ok(())
}
