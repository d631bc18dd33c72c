//! The files of the workspace, and problems found in them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// The texts of a workspace, by their path from its root, with `/` between folders.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

/// A broken rule: where, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    advice: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, advice: advice.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

impl Tree {
    /// The workspace that this test was compiled in.
    pub(crate) fn of_workspace() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies inside the workspace");
        let mut files = BTreeMap::new();
        read_folder(root, "", &mut files);
        Self { files }
    }

    /// A made-up workspace, for the tests of the rules.
    pub(crate) fn fixture(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The text of a file that a rule cannot do without; where it is missing, `purpose` says what it is for.
    pub(crate) fn need(&self, path: &str, purpose: &str, problems: &mut Vec<Problem>) -> &str {
        self.get(path).unwrap_or_else(|| {
            problems.push(Problem::new(path, 1, format!("the file does not exist; write it: {purpose}")));
            ""
        })
    }

    /// Every file whose path ends in `.rs`.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ending_in(".rs")
    }

    pub(crate) fn ending_in(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(move |(path, _)| path.ends_with(end)).map(|(path, text)| (&**path, &**text))
    }
}

/// Fails the test that calls it with every problem on a line of its own.
#[track_caller]
pub(crate) fn assert_none(mut problems: Vec<Problem>) {
    problems.sort();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} broken:\n{}\n", lines.len(), lines.join("\n"));
}

/// Which part of the workspace a path belongs to: `crates/reactor/src/lib.rs` is in `crates/reactor`.
pub(crate) fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry of a folder that was just listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the kind of an entry that was just listed");
        if kind.is_dir() {
            if name != "target" && !name.starts_with('.') {
                read_folder(&entry.path(), &format!("{path}/"), files);
            }
        } else if [".rs", ".md", ".toml", ".txt"].iter().any(|end| name.ends_with(end)) {
            let text = fs::read_to_string(entry.path())
                .unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
            files.insert(path, text);
        }
    }
}
