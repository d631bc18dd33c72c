//! Lets the clock of a process stand still while it is stepped through. A server that is a thousand times slower than usual would
//! otherwise reach its budgets of time after a few requests, and be counted doing what it does for lack of time.
//!
//! Programs read the clock by a function that the kernel maps into each process (vdso(7)). The process's own copy of that
//! function is overwritten by one that answers with a constant. Waits within the kernel go on as ever.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use object::{Object, ObjectSymbol};
use rustix::time::{ClockId, clock_gettime};

/// The function's name.
const READ: &str = "__vdso_clock_gettime";

/// From now on, it is always now in this process. Its threads are stopped, and none is just reading the clock.
///
/// # Errors
///
/// The system's; and where this is not known for the kind of processor.
pub fn stand(pid: u32) -> io::Result<()> {
    let [begin, end] = mapping(&fs::read_to_string(format!("/proc/{pid}/maps"))?)
        .ok_or_else(|| io::Error::other("it has no clock of the kernel's"))?;
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let mut image = vec![0; (end - begin) as usize];
    memory.read_exact_at(&mut image, begin)?;
    let now = clock_gettime(ClockId::Monotonic);
    memory.write_all_at(&always(now.tv_sec, now.tv_nsec)?, begin + place(&image)?)
}

/// Where the kernel's functions are mapped, in the text of `maps`.
fn mapping(maps: &str) -> Option<[u64; 2]> {
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (begin, end) = line.split_whitespace().next()?.split_once('-')?;
    Some([u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?])
}

/// Where the function begins in this image.
fn place(image: &[u8]) -> io::Result<u64> {
    let file = object::File::parse(image).map_err(io::Error::other)?;
    let symbol = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(READ));
    symbol.map(|symbol| symbol.address()).ok_or_else(|| io::Error::other("the kernel's clock is not found"))
}

/// The code of a function that answers with this time, whichever clock is asked for.
fn always(seconds: i64, nanoseconds: i64) -> io::Result<Vec<u8>> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(io::Error::other("the code of a still clock is known for x86-64 alone"));
    }
    // The first argument is the clock's number (rdi), the second where the time goes (rsi).
    let seconds = [&[0x48, 0xB8], &seconds.to_le_bytes()[..], &[0x48, 0x89, 0x06]];
    let nanoseconds = [&[0x48, 0xB8], &nanoseconds.to_le_bytes()[..], &[0x48, 0x89, 0x46, 0x08]];
    // Zero, and back.
    Ok([seconds.concat(), nanoseconds.concat(), vec![0x31, 0xC0, 0xC3]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_found_in_this_process() {
        let [begin, end] = mapping(&fs::read_to_string("/proc/self/maps").unwrap()).unwrap();
        let mut image = vec![0; (end - begin) as usize];
        fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut image, begin).unwrap();
        let place = place(&image).unwrap();
        assert!(0 < place && place < end - begin, "{place}");
    }
}
