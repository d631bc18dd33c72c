//! What the system says that a process used.

use std::fs;
use std::io;
use std::time::Duration;

/// The processor time of a process, all of its threads together (the kernel's workers for its rings among them).
///
/// It comes from `schedstat`, which counts nanoseconds; `stat` counts ticks of ten milliseconds.
///
/// # Errors
///
/// If there is no such process, or the kernel keeps no such statistics.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => total += on_cpu(&text)?,
            // The thread ended since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Duration::from_nanos(total))
}

/// The first of the three numbers in `schedstat`.
fn on_cpu(schedstat: &str) -> io::Result<u64> {
    let first = schedstat.split_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("schedstat says {schedstat:?}")))
}

/// How many KiB of memory a process has resident.
///
/// # Errors
///
/// If there is no such process.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "status has no VmRSS"))
}

/// How many descriptors a process has open.
///
/// # Errors
///
/// If there is no such process, or it belongs to somebody else.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_schedstat_is_the_time_on_a_processor() {
        assert_eq!(on_cpu("263567 101576 2\n").unwrap(), 263_567);
        assert!(on_cpu("\n").is_err() && on_cpu("x 1 2").is_err());
    }

    #[test]
    fn this_process_uses_processor_memory_and_descriptors() {
        let pid = std::process::id();
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        assert!(resident(pid).unwrap() > 0);
        assert!(descriptors(pid).unwrap() >= 3);
    }
}
