//! Makes the tables and the plots of a document: a Markdown file and an SVG file for each workload, and more plots for all of
//! them.

use std::fs;
use std::path::Path;

use crate::counts;
use crate::document::Document;
use crate::plot::{bars, curves};
use crate::table;

/// Writes them into this folder.
///
/// # Errors
///
/// The system's; and if a plot cannot be drawn.
pub fn write(document: &Document, folder: &Path) -> marline::Result<()> {
    fs::create_dir_all(folder)?;
    for record in &document.workloads {
        let name = record.outcome.workload.file_name();
        let table = table::markdown(&record.outcome, &document.contestants);
        fs::write(folder.join(format!("{name}.md")), format!("{table}\n{}", document.made.markdown()))?;
        let plot = bars::plot(&record.outcome, &document.contestants)?;
        fs::write(folder.join(format!("{name}.svg")), plot)?;
    }
    for plot in curves::plots(document)? {
        fs::write(folder.join(format!("{}.svg", plot.name)), plot.svg)?;
    }
    if !document.counts.is_empty() {
        let table = counts::markdown(&document.counts);
        fs::write(folder.join("counts.md"), format!("{table}\n{}", document.made.markdown()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::{example, example_contestants};

    #[test]
    fn a_document_that_was_written_and_read_gives_the_same_files() {
        let folder = std::env::temp_dir().join(format!("marline-bench-render-{}", std::process::id()));
        let mut document = Document::new("example", &[], &[]);
        document.contestants = example_contestants();
        document.add(example());
        write(&document, &folder.join("first")).unwrap();
        document.write(&folder.join("example.json")).unwrap();
        let read = Document::read(&folder.join("example.json")).unwrap();
        write(&read, &folder.join("second")).unwrap();
        let files = |name: &str| {
            let mut all: Vec<(String, String)> = fs::read_dir(folder.join(name))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (path.file_name().unwrap().to_string_lossy().into(), fs::read_to_string(&path).unwrap())
                })
                .collect();
            all.sort();
            all
        };
        let (first, second) = (files("first"), files("second"));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(first, second);
        let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["echo-64-b-1-at-a-time.md", "echo-64-b-1-at-a-time.svg"]);
    }
}
