//! The book names every dependency, and every page can be reached.

use std::collections::BTreeSet;

use crate::manifest::{dependencies, entries};
use crate::tree::{Problem, Tree, assert_none, is_in};

const DEPENDENCIES: &str = "docs/dependencies.md";
const README: &str = "README.md";
const CONTENTS: &str = "docs/README.md";
/// Shows what benchmarks wrote down.
const RESULTS: &str = "docs/performance.md";

#[test]
fn every_dependency_is_named_in_the_book() {
    assert_none(unnamed_dependencies(&Tree::of_workspace()));
}

#[test]
fn every_member_takes_its_dependencies_from_the_workspace() {
    assert_none(own_dependencies(&Tree::of_workspace()));
}

#[test]
fn every_page_of_the_book_is_linked() {
    assert_none(unlinked_pages(&Tree::of_workspace()));
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    assert_none(broken_links(&Tree::of_workspace()));
}

fn unnamed_dependencies(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let manifest = tree.need("Cargo.toml", "the workspace's manifest", &mut problems);
    let page = tree.need(DEPENDENCIES, "a table of every dependency and why it is there", &mut problems);
    let rows = || page.lines().enumerate().filter_map(|(index, line)| Some((index + 1, row_name(line)?)));
    let named: BTreeSet<&str> = rows().map(|(_, name)| name).collect();
    let all = entries(manifest).into_iter().filter(|entry| entry.table == "workspace.dependencies");
    let external: Vec<_> = all.filter(|entry| !entry.value.contains("path =")).collect();
    for entry in external.iter().filter(|entry| !named.contains(entry.key)) {
        let advice = format!("`{}` has no row in {DEPENDENCIES}; add it with the reason", entry.key);
        problems.push(Problem::new("Cargo.toml", entry.line, advice));
    }
    for (line, name) in rows().filter(|(_, name)| external.iter().all(|entry| entry.key != *name)) {
        problems.push(Problem::new(
            DEPENDENCIES,
            line,
            format!("`{name}` is not a dependency; remove its row"),
        ));
    }
    problems
}

/// The name in backticks at the beginning of a table's row.
fn row_name(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.trim_start().strip_prefix('`')?;
    cell.split_once('`').map(|(name, _)| name)
}

fn own_dependencies(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    // The root of another workspace is no member of this one.
    let is_root = |text: &str| text.lines().any(|line| line == "[workspace]");
    for (path, text) in tree.ending_in("/Cargo.toml").filter(|(_, text)| !is_root(text)) {
        for entry in dependencies(text) {
            let inherited = entry.value.contains("workspace = true") || entry.key.ends_with(".workspace");
            if !inherited {
                let advice =
                    format!("take `{}` from [workspace.dependencies]: `workspace = true`", entry.key);
                problems.push(Problem::new(path, entry.line, advice));
            }
        }
    }
    problems
}

fn unlinked_pages(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut linked = BTreeSet::new();
    for (page, purpose) in [(README, "the first page"), (CONTENTS, "the book's table of contents")] {
        let text = tree.need(page, purpose, &mut problems);
        linked.extend(links(page, text).map(|(_, target)| target));
    }
    // Files of results lead on from the page that they are for, which may link to their folder.
    let results = tree.get(RESULTS).into_iter().flat_map(|text| links(RESULTS, text));
    linked.extend(results.map(|(_, target)| target).filter(|target| is_in(target, "docs/performance")));
    let is_linked = |page: &str| {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        linked.contains(page) || (folder != "docs" && linked.contains(folder))
    };
    for (page, _) in tree.ending_in(".md").filter(|(path, _)| is_in(path, "docs")) {
        if !is_linked(page) {
            problems.push(Problem::new(
                page,
                1,
                format!("no link leads here; add one to {CONTENTS} or {README}"),
            ));
        }
    }
    problems
}

fn broken_links(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (page, text) in tree.ending_in(".md") {
        for (line, target) in links(page, text).filter(|(_, target)| target.ends_with(".md")) {
            if tree.get(&target).is_none() {
                problems.push(Problem::new(
                    page,
                    line,
                    format!("{target} does not exist; write it or remove the link"),
                ));
            }
        }
    }
    problems
}

/// The targets of a page's links to files, as paths from the root, with the lines where they stand.
fn links<'a>(page: &'a str, text: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    text.lines().enumerate().flat_map(move |(index, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let files = targets.filter(|target| !target.is_empty() && !target.contains(':'));
        files.map(move |target| (index + 1, resolve(folder, target)))
    })
}

/// A path from the root, of one from this folder.
pub(crate) fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_and_their_page_must_agree() {
        let manifest =
            "[workspace.dependencies]\nown = { path = \"own\" }\nmio = \"1\"\nbytes = { version = \"1\" }\n";
        let page = "| Name | Why |\n|---|---|\n| `mio` | sockets |\n| `old` | none |\n`bytes` in prose\n";
        let found = unnamed_dependencies(&Tree::fixture(&[("Cargo.toml", manifest), (DEPENDENCIES, page)]));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("Cargo.toml:4: `bytes` has no row"));
        assert!(found[1].starts_with("docs/dependencies.md:4: `old` is not a dependency"));
    }

    #[test]
    fn a_version_in_a_member_is_found() {
        let manifest = "[dependencies]\na = { workspace = true }\nb.workspace = true\nc = \"1\"\n";
        let other = format!("[workspace]\n{manifest}");
        let tree = Tree::fixture(&[("crates/x/Cargo.toml", manifest), ("y/Cargo.toml", &other)]);
        let found = own_dependencies(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("crates/x/Cargo.toml:4: take `c`"));
    }

    #[test]
    fn pages_are_found_through_links_only() {
        let tree = Tree::fixture(&[
            (README, "[the book](docs/README.md) and [one](docs/a.md#part)"),
            (CONTENTS, "[b](b.md), [c](https://example.org/docs/c.md), [gone](gone.md), [up](../README.md)"),
            ("docs/a.md", ""),
            ("docs/b.md", ""),
            ("docs/c.md", ""),
            (RESULTS, "[all](performance/full), [one](performance/idle/idle.md)"),
            ("docs/performance/full/echo.md", ""),
            ("docs/performance/idle/idle.md", ""),
            ("docs/performance/idle/other.md", ""),
        ]);
        let unlinked = unlinked_pages(&tree);
        let named: Vec<_> = unlinked.iter().map(ToString::to_string).collect();
        assert_eq!(named.len(), 3, "{named:?}");
        let of = |page: &str| named.iter().any(|problem| problem.starts_with(&format!("{page}:1: no link")));
        assert!(of("docs/c.md") && of(RESULTS) && of("docs/performance/idle/other.md"));
        let broken = broken_links(&tree);
        assert_eq!(broken.len(), 1);
        assert!(broken[0].to_string().starts_with("docs/README.md:1: docs/gone.md does not exist"));
    }
}
