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

/// How much of the processor time of a process was in its own code, and not in the kernel.
///
/// # Errors
///
/// If there is no such process.
pub fn user_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = user_ticks(&stat)?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// The field `utime` of `stat`, the fourteenth. The second is a name in parentheses, which may have spaces in it.
fn user_ticks(stat: &str) -> io::Result<u64> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = rest.split_whitespace().nth(11).and_then(|number| number.parse().ok());
    field.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "stat has no utime"))
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
    in_status(&fs::read_to_string(format!("/proc/{pid}/status"))?, "VmRSS:")
}

/// How often the system switched from a process to another, by its own will or not, all of its threads together.
///
/// # Errors
///
/// If there is no such process.
pub fn switches(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(thread?.path().join("status")) {
            Ok(text) => {
                total += in_status(&text, "voluntary_ctxt_switches:")?;
                total += in_status(&text, "nonvoluntary_ctxt_switches:")?;
            }
            // The thread ended since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// The number in the line of `status` that begins with this.
fn in_status(status: &str, field: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("status has no {field}")))
}

/// How many bytes of memory a process has that are its own and of no file: its heap and its stacks, and what it mapped for
/// them. What the kernel keeps for it is not in that, nor are rings that it shares with the kernel.
///
/// # Errors
///
/// If there is no such process, or it belongs to somebody else.
pub fn anonymous(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let kib =
        number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup has no Anonymous"))?;
    Ok(kib * 1024)
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
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 99 0 0 0 123 45 0 0 20 0 1 0 1 1 1";
        assert_eq!(user_ticks(stat).unwrap(), 123);
        assert!(user_ticks("7 (a").is_err());
    }

    #[test]
    fn this_process_uses_processor_memory_and_descriptors() {
        let pid = std::process::id();
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        assert!(user_time(pid).is_ok());
        assert!(resident(pid).unwrap() > 0);
        assert!(descriptors(pid).unwrap() >= 3);
        assert!(switches(pid).is_ok());
    }

    #[test]
    fn fields_of_status_are_told_apart_by_their_whole_names() {
        let status = "VmRSS:\t 1234 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
        let found = ["VmRSS:", "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
            .map(|field| in_status(status, field).unwrap());
        assert_eq!(found, [1234, 5, 7]);
        assert!(in_status(status, "VmSize:").is_err());
    }

    #[test]
    fn what_is_written_to_the_heap_is_anonymous_memory() {
        const GROWTH: usize = 64 << 20;
        let before = anonymous(std::process::id()).unwrap();
        let heap = std::hint::black_box(vec![1_u8; GROWTH]);
        let after = anonymous(std::process::id()).unwrap();
        // Other tests free and allocate meanwhile, but not as much.
        assert!(after >= before + GROWTH as u64 / 2, "{before} bytes, then {after}");
        drop(heap);
    }
}
