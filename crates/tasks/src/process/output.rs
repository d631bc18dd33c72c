//! A whole run of a program.

use std::io;

use marline_reactor::{ChildFd, Command, Exit};

use super::Child;
use crate::combinators::{GatherError, gather_tuple};
use crate::net::Stream;

/// How many bytes [`output`] takes of each of the two.
const LIMIT: usize = 64 * 1024 * 1024;
const PIECE: usize = 16 * 1024;

/// What a program wrote, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a program to its end, and collects what it writes, at most 64 MiB of its output and as much of its errors. Its input is
/// empty, unless the command says otherwise; pipes to other descriptors of its are closed at once.
///
/// ```
/// use marline_reactor::Command;
/// use marline_tasks::output;
///
/// # marline_tasks::run(async {
/// let output = output(Command::new("echo").arg("hello")).await?;
/// assert!(output.exit.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// If it cannot be started, on a failure of a pipe, and if it writes more (`FileTooLarge`).
///
/// # Cancellation
///
/// Dropping the future, and each error, kills the program.
pub async fn output(command: Command) -> io::Result<Output> {
    output_up_to(command, LIMIT).await
}

/// As [`output`], with a limit of its own for each of the two, in bytes.
///
/// # Errors
///
/// As [`output`].
pub async fn output_up_to(command: Command, limit: usize) -> io::Result<Output> {
    let command = command
        .descriptor_or(0, ChildFd::Null)
        .descriptor_or(1, ChildFd::Output)
        .descriptor_or(2, ChildFd::Output)
        .kill_on_drop();
    let mut child = Child::spawn(command)?;
    // Whoever wanted to write to it cannot: it reads the end.
    drop(child.stdin.take());
    // Nor is anybody here who reads more than the two, or waits for it to.
    child.others.clear();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let both = gather_tuple((read_to_end(stdout, limit), read_to_end(stderr, limit))).await;
    let (stdout, stderr) = both.map_err(GatherError::into_error)?;
    Ok(Output { exit: child.wait().await?, stdout, stderr })
}

async fn read_to_end(stream: Option<Stream>, limit: usize) -> io::Result<Vec<u8>> {
    let Some(stream) = stream else { return Ok(Vec::new()) };
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(bytes);
        }
        if count > limit - bytes.len() {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the program writes more than is allowed",
            ));
        }
        bytes.extend_from_slice(&piece[..count]);
    }
}
