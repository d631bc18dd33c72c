//! Everything that was measured, as it is written down: tables and plots are made from this alone.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::contestant::{LeftOut, Ready};
use crate::cost::{Cost, GOAL, Ratio, ratios};
use crate::counts::Counts;
use crate::machine::Made;
use crate::rounds::Outcome;
use crate::versions;

/// A file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// What the runner was asked for.
    pub mode: String,
    /// Where, when and with what.
    pub made: Made,
    /// How many seconds it took.
    pub seconds: f64,
    /// See [`GOAL`].
    pub goal: f64,
    /// Who was compared, in the order of tables.
    pub contestants: Vec<Entry>,
    /// What they did.
    pub workloads: Vec<Record>,
    /// What could be counted.
    #[serde(default)]
    pub counts: Vec<Counts>,
    /// Who could not be compared at all.
    pub left_out: Vec<Left>,
}

/// Who was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What tables call it.
    pub name: String,
    /// Whether it is Marline's.
    pub ours: bool,
    /// Whether it makes the system's bare calls.
    pub floor: bool,
    /// What it is made of, with the version.
    pub version: String,
}

/// Who was not compared, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Which one.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl From<&LeftOut> for Left {
    fn from(left: &LeftOut) -> Self {
        Self { name: left.name.to_owned(), reason: left.reason.clone() }
    }
}

/// What all of them did under one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What tables call it.
    pub name: String,
    /// Every run.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Ours divided by each other. They follow from the runs, and are here for whoever reads the file otherwise.
    pub ratios: Vec<Ratio>,
}

impl Document {
    /// An empty one.
    #[must_use]
    pub fn new(mode: &str, ready: &[Ready], left_out: &[LeftOut]) -> Self {
        let entry = |ready: &Ready| Entry {
            name: ready.contestant.name.to_owned(),
            ours: ready.contestant.is_ours(),
            floor: ready.contestant.is_floor(),
            version: versions::of(ready),
        };
        Self {
            mode: mode.to_owned(),
            made: Made::now(),
            seconds: 0.0,
            goal: GOAL,
            contestants: ready.iter().map(entry).collect(),
            workloads: Vec::new(),
            counts: Vec::new(),
            left_out: left_out.iter().map(Left::from).collect(),
        }
    }

    /// Adds what they did.
    pub fn add(&mut self, outcome: Outcome) {
        let costs = [Cost::Server, Cost::User, Cost::Wall, Cost::Tail];
        let ratios = costs.iter().flat_map(|cost| ratios(&outcome, &self.contestants, *cost)).collect();
        self.workloads.push(Record { name: outcome.workload.name(), outcome, ratios });
    }

    /// Reads one that was written.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn read(path: &Path) -> marline::Result<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, path: &Path) -> marline::Result<()> {
        write_json(path, self)
    }
}

/// Writes a file of results of any shape, and the folders that lead to it.
///
/// # Errors
///
/// The system's.
pub fn write_json(path: &Path, results: &impl Serialize) -> marline::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, serde_json::to_string_pretty(results)? + "\n")?)
}

/// Where results of a shape of their own go, with their table beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    numbers: PathBuf,
    table: PathBuf,
}

impl Place {
    /// Those of a mode go into its folder, unless it was said where the numbers go.
    #[must_use]
    pub fn new(folder: &Path, mode: &str, said: Option<&Path>) -> Self {
        match said {
            Some(numbers) => Self { numbers: numbers.into(), table: numbers.with_extension("md") },
            None => Self { numbers: folder.join("results.json"), table: folder.join(format!("{mode}.md")) },
        }
    }

    /// Writes both, and says where.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, results: &impl Serialize, table: &str) -> marline::Result<()> {
        write_json(&self.numbers, results)?;
        fs::write(&self.table, table)?;
        eprintln!("wrote {} and {}", self.numbers.display(), self.table.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_beside_its_numbers() {
        let folder = std::env::temp_dir().join(format!("marline-bench-place-{}", std::process::id()));
        let files = |folder: &Path| {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        let (mode, said) = (folder.join("micro"), folder.join("elsewhere/numbers.json"));
        Place::new(&mode, "micro", Some(&said)).write(&7, "a table").unwrap();
        assert!(!mode.exists(), "nothing is written where nothing was asked for");
        assert_eq!(files(&folder.join("elsewhere")), ["numbers.json", "numbers.md"]);
        Place::new(&mode, "micro", None).write(&7, "a table").unwrap();
        assert_eq!(files(&mode), ["micro.md", "results.json"]);
        assert_eq!(fs::read_to_string(mode.join("micro.md")).unwrap(), "a table");
        fs::remove_dir_all(folder).unwrap();
    }
}
