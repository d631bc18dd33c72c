//! What a server's own code does for each request, as callgrind counts it: instructions and allocations, without the kernel's.
//!
//! Each is counted twice, with few requests and with many, and divided is the difference: starting and connecting are in
//! neither.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::rounds::drive;
use crate::server::Server;
use crate::workload::Workload;

/// How long callgrind may take to write what it counted, once the server ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// The functions of the C library that give memory, and make it larger.
const ALLOCATORS: [&str; 6] = ["malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc"];

/// What was counted, of a whole run or for each request of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Instructions of its own code.
    pub instructions: f64,
    /// Calls of functions that give memory or make it larger.
    pub allocations: f64,
}

/// What a request of `many` costs. The two differ in nothing but their numbers of requests.
///
/// # Errors
///
/// In words: that of the server, of its clients, or of callgrind.
pub fn each(
    ready: &Ready,
    few: Workload,
    many: Workload,
    load: &Path,
    cores: Cores,
) -> Result<Profile, String> {
    if ready.contestant.is_on_rings() {
        return Err("valgrind knows no rings".to_owned());
    }
    let (less, more) = (whole(ready, few, load, cores)?, whole(ready, many, load, cores)?);
    let requests = (many.warm_up() + many.requests).saturating_sub(few.warm_up() + few.requests) as f64;
    Ok(Profile {
        instructions: (more.instructions - less.instructions) / requests,
        allocations: (more.allocations - less.allocations) / requests,
    })
}

fn whole(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Profile, String> {
    let cores = ready.contestant.place(cores);
    let out = ready.path.with_file_name(format!("{}.callgrind", ready.contestant.name));
    // That of another run must not be taken for this one's.
    let _ = fs::remove_file(&out);
    let server = Server::start_counted(ready, workload.service(), cores.server, &out)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())?;
    server.terminate().map_err(|error| error.to_string())?;
    wait_for(&out)
}

fn wait_for(out: &Path) -> Result<Profile, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(out).unwrap_or_default();
        if let Some(profile) = parse(&text) {
            return Ok(profile);
        }
        if Instant::now() > deadline {
            return Err("callgrind wrote no total".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The number in the line `totals: N`, which ends the file, and the calls of [`ALLOCATORS`].
fn parse(text: &str) -> Option<Profile> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    Some(Profile { instructions: line.trim().parse().ok()?, allocations: allocations(text) as f64 })
}

/// Calls are `calls=N` behind `cfn=` with the function called, within the part of the file that `fn=` begins. A name is
/// written once, behind its number in parentheses; later the number stands alone.
fn allocations(text: &str) -> u64 {
    let mut allocators = HashSet::new();
    let (mut within, mut called, mut total) = (false, false, 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("fn=") {
            within = is_allocator(rest, &mut allocators);
        } else if let Some(rest) = line.strip_prefix("cfn=") {
            called = is_allocator(rest, &mut allocators);
        } else if let Some(rest) = line.strip_prefix("calls=") {
            // One that calls another is one allocation.
            if called && !within {
                total += rest.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0);
            }
        }
    }
    total
}

fn is_allocator<'a>(function: &'a str, allocators: &mut HashSet<&'a str>) -> bool {
    let (number, name) = function.split_once(' ').unwrap_or((function, ""));
    // Behind an apostrophe is how deep it calls itself.
    let name = name.split('\'').next().unwrap_or_default();
    if ALLOCATORS.contains(&name) {
        allocators.insert(number);
    }
    allocators.contains(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_when_it_is_there() {
        assert_eq!(parse("events: Ir\nfn=(1) main\n1 5\n"), None);
        let found = parse("events: Ir\nfn=(1) main\n1 5\n\ntotals: 5123\n");
        assert_eq!(found, Some(Profile { instructions: 5123.0, allocations: 0.0 }));
    }

    #[test]
    fn allocations_are_counted_once_whoever_makes_them() {
        let text = "\
fn=(1) main
3 5
cfn=(2) malloc
calls=7 0
4 70
cfn=(3) mallopt
calls=100 0
4 70

fn=(4) realloc
cfn=(2)
calls=30 0
5 9

fn=(5) grow
cfn=(4)
calls=11 0
5 9
totals: 9
";
        assert_eq!(allocations(text), 18);
    }
}
