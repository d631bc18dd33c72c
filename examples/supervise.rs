//! Keeps programs running: starts them, starts each again when it ends, forwards what they print line by line, and stops them
//! when it is told to stop.
//!
//! `cargo run --example supervise -- 'ping localhost' 'while sleep 2; do date; done'`, then Ctrl-C, or `kill` it.
//!
//! A program that ends soon after its start is started again later and later, up to every ten seconds. When the supervisor gets
//! SIGTERM or SIGINT its programs get SIGTERM, and SIGKILL if they have not ended five seconds later.
use std::time::Duration;

use marline::framing::LineParser;
use marline::prelude::*;
use marline::scope::CancelToken;
use marline::{Child, ChildFd, Command, Exit, Framed, SignalKind, signal};

const PATIENCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Forwards what a program prints.
async fn forward(name: String, output: Stream) {
    let mut lines = Framed::new(output, LineParser::new());
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => println!("{name} | {}", String::from_utf8_lossy(line)),
            Err(error) => return eprintln!("{name}: {error}"),
        }
    }
}

/// Runs a program once, to its end.
async fn run_once(name: &str, command: &str, stop: &CancelToken) -> std::io::Result<Exit> {
    let command = Command::new("/bin/sh").args(["-c", command]).process_group(0).kill_on_drop();
    let mut child =
        Child::spawn(command.stdin(ChildFd::Null).stdout(ChildFd::Output).stderr(ChildFd::Output))?;
    for output in [1, 2].into_iter().filter_map(|number| child.take_pipe(number)) {
        spawn(forward(name.to_owned(), output));
    }
    eprintln!("{name}: started as process {}", child.id());
    if let Ok(exit) = stop.run(child.wait()).await {
        return exit;
    }
    child.signal(SignalKind::TERMINATE)?;
    if let Ok(exit) = timeout(PATIENCE, child.wait()).await {
        return exit;
    }
    child.kill()?;
    child.wait().await
}

/// Runs a program again and again.
async fn keep_running(name: String, command: String, stop: CancelToken) {
    let mut pause = Duration::ZERO;
    while !stop.is_cancelled() {
        let begun = Instant::monotonic();
        match run_once(&name, &command, &stop).await {
            Ok(exit) => eprintln!("{name}: {exit}"),
            Err(error) => eprintln!("{name}: {error}"),
        }
        let ended_soon = Instant::monotonic() - begun < SOON;
        pause = if ended_soon { (pause * 2).clamp(SOON / 10, LONGEST_PAUSE) } else { Duration::ZERO };
        _ = stop.run(sleep(pause)).await;
    }
}

fn main() -> Result<()> {
    let commands: Vec<String> = std::env::args().skip(1).collect();
    marline::run(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::TERMINATE)?, signal(SignalKind::INTERRUPT)?);
        let (scope, group) = (CancelScope::new(), TaskGroup::<(), Error>::new());
        for (number, command) in commands.into_iter().enumerate() {
            let stop = scope.token();
            group.spawn(async move {
                keep_running(format!("program {number}"), command, stop).await;
                Ok(())
            });
        }
        select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        eprintln!("stopping");
        scope.cancel();
        group.join().await?;
        Ok(())
    })
}
