//! For tests: what is full, and stays so.

use std::io::Write;
use std::thread;
use std::time::Duration;

/// Writes such pieces until nothing more fits for good, and tells how many bytes: the system makes room for a while, although nobody
/// reads. The writer does not block.
pub(super) fn fill(mut writer: impl Write, piece: &[u8]) -> usize {
    let (mut written, mut vain) = (0, 0);
    while vain < 10 {
        vain += 1;
        while let Ok(count) = writer.write(piece) {
            (written, vain) = (written + count, 0);
        }
        thread::sleep(Duration::from_millis(10));
    }
    written
}
