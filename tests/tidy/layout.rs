//! Folder modules introduce themselves, and no file or suite is left out of the build.

use crate::book::resolve;
use crate::lexer::{Token, lex, matches_at};
use crate::manifest::targets;
use crate::tree::{Problem, Tree, assert_none, is_in};

#[test]
fn every_folder_module_begins_with_its_documentation() {
    assert_none(undocumented_folders(&Tree::of_workspace()));
}

#[test]
fn every_source_file_is_part_of_a_module() {
    assert_none(stray_files(&Tree::of_workspace()));
}

#[test]
fn every_suite_is_declared() {
    assert_none(undeclared_suites(&Tree::of_workspace()));
}

fn undocumented_folders(tree: &Tree) -> Vec<Problem> {
    let modules = tree.ending_in("/mod.rs").filter(|(_, text)| !text.starts_with("//!"));
    modules
        .map(|(path, _)| Problem::new(path, 1, "begin with `//!`: the idea, and each file in a sentence"))
        .collect()
}

/// A file that no `mod` names is never compiled, and the tests in it never run.
fn stray_files(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Each may be the parent of many, and is taken apart once.
    let lexed: Vec<_> = tree.rust().map(|(path, text)| (path, text, lex(text))).collect();
    for (path, _) in tree.rust().filter(|(path, _)| !is_root(path)) {
        let module = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).unwrap_or(path);
        let (folder, name) = module.rsplit_once('/').unwrap_or(("", module));
        let mut parents = lexed.iter().filter(|(other, ..)| *other != path && may_declare(other, folder));
        let is_named = || tree.rust().any(|(other, text)| names_by_path(other, text, path));
        if !parents.any(|(_, text, tokens)| declares(text, tokens, name)) && !is_named() {
            let advice =
                format!("no file declares `mod {name};`, so this one is not compiled; declare or delete it");
            problems.push(Problem::new(path, 1, advice));
        }
    }
    problems
}

/// Whether the file at `path` may hold the `mod` of a file in `folder`: it is in it, or it is `folder.rs`.
fn may_declare(path: &str, folder: &str) -> bool {
    let (parent, _) = path.rsplit_once('/').unwrap_or(("", path));
    parent == folder || path.strip_suffix(".rs") == Some(folder)
}

fn declares(text: &str, tokens: &[Token<'_>], name: &str) -> bool {
    // A twin that is compiled in the place of another file names its own.
    if text.contains(&format!("#[path = \"{name}.rs\"]")) {
        return true;
    }
    (0..tokens.len()).any(|at| matches_at(tokens, at, &["mod", name]))
}

/// Whether the file `other` compiles the one at `path`, as programs do that share files and nothing else.
fn names_by_path(other: &str, text: &str, path: &str) -> bool {
    let folder = other.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = text.split("#[path = \"").skip(1).filter_map(|rest| rest.split('"').next());
    named.filter(|named| named.contains('/')).any(|named| resolve(folder, named) == path)
}

/// Files that cargo or a test finds by their place.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [.., "src", "lib.rs" | "main.rs"] | [.., "src", "bin", _] | [.., "build.rs"] => true,
        ["crates", _, "tests" | "examples" | "benches", _] => true,
        ["examples" | "tests", _] | ["examples" | "tests", _, "main.rs"] | [.., "tests", _, "main.rs"] => {
            true
        }
        _ => is_in(path, "tests/compile_fail"),
    }
}

fn undeclared_suites(tree: &Tree) -> Vec<Problem> {
    const MANIFEST: &str = "tests/Cargo.toml";
    let mut problems = Vec::new();
    let declared = targets(tree.need(MANIFEST, "the manifest of the suites", &mut problems), "test");
    for (path, _) in tree.rust().filter(|(path, _)| is_in(path, "tests") && !is_in(path, "tests/src")) {
        let inner = &path["tests/".len()..];
        let is_suite = inner.ends_with("/main.rs") || !inner.contains('/');
        if is_suite && !declared.iter().any(|(_, target)| *target == inner) {
            let name = inner.trim_end_matches("/main.rs").trim_end_matches(".rs");
            let entry = format!("[[test]] name = \"{name}\" path = \"{inner}\"");
            problems.push(Problem::new(path, 1, format!("the suite never runs; add {entry} to {MANIFEST}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_module_needs_docs() {
        let tree = Tree::fixture(&[("a/mod.rs", "//! Idea.\nmod b;"), ("c/mod.rs", "mod b;\n//! Late.")]);
        let found = undocumented_folders(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("c/mod.rs:1: "));
    }

    #[test]
    fn a_file_that_programs_share_is_named_by_its_path() {
        let program = "#[path = \"../parts/a.rs\"]\nmod a;";
        let files = [("x/src/bin/p.rs", program), ("x/src/parts/a.rs", ""), ("x/src/parts/b.rs", "")];
        let found = stray_files(&Tree::fixture(&files));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("x/src/parts/b.rs:1: "));
    }

    #[test]
    fn a_file_that_no_module_names_is_stray() {
        let tree = Tree::fixture(&[
            ("crates/x/src/lib.rs", "pub mod a; mod d;\n// mod c;"),
            ("crates/x/src/a/mod.rs", "mod b;"),
            ("crates/x/src/a/b.rs", ""),
            ("crates/x/src/c.rs", ""),
            ("crates/x/src/d.rs", "#[cfg(test)]\nmod e;"),
            ("crates/x/src/d/e.rs", "mod b;"),
            ("crates/x/src/d/b.rs", ""),
        ]);
        let found: Vec<_> = stray_files(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/x/src/c.rs:1: no file declares `mod c;`"));
    }

    #[test]
    fn a_suite_that_is_not_declared_is_named() {
        let manifest = "[[test]]\nname = \"a\"\npath = \"a/main.rs\"\n";
        let tree = Tree::fixture(&[
            ("tests/Cargo.toml", manifest),
            ("tests/a/main.rs", ""),
            ("tests/a/part.rs", ""),
            ("tests/b/main.rs", ""),
            ("tests/src/lib.rs", ""),
        ]);
        let found = undeclared_suites(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("add [[test]] name = \"b\" path = \"b/main.rs\""));
    }
}
