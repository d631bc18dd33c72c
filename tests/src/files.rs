//! Files for tests, which leave nothing behind.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file without a name that has these bytes, open for reading and writing.
///
/// # Panics
///
/// If the system has no room for it.
#[must_use]
pub fn file_of(bytes: &[u8]) -> File {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("marline-file-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let mut file = file.expect("a file");
    std::fs::remove_file(&path).expect("its name");
    file.write_all(bytes).expect("room for its bytes");
    file
}
