//! Files for tests, which leave nothing behind.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file without a name that has these bytes, open for reading and writing.
///
/// # Panics
///
/// If the system has no room for it.
#[must_use]
pub fn file_of(bytes: &[u8]) -> File {
    let path = fresh("file");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let mut file = file.expect("a file");
    std::fs::remove_file(&path).expect("its name");
    file.write_all(bytes).expect("room for its bytes");
    file
}

/// A folder for one test, which is gone afterwards.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// If the system has no room for it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = fresh(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// The path of what is or will be in it.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A path that no other test has.
#[must_use]
pub fn fresh(name: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("marline-{name}-{}-{number}", std::process::id()))
}
