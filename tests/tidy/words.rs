//! What may not be written: unlisted `unsafe`, unfinished code, and futures inside of the reactor.

use std::collections::BTreeMap;

use crate::lexer::{Token, lex, matches_at};
use crate::manifest::dependencies;
use crate::tree::{Problem, Tree, assert_none, is_in};

const SAFETY: &str = "docs/safety.md";
const REACTOR: &str = "crates/reactor";

#[test]
fn unsafe_appears_only_in_files_that_the_safety_page_lists() {
    assert_none(unlisted_unsafe(&Tree::of_workspace()));
}

#[test]
fn no_unfinished_code_is_left() {
    assert_none(unfinished(&Tree::of_workspace()));
}

#[test]
fn the_reactor_knows_nothing_of_futures() {
    let tree = Tree::of_workspace();
    let mut problems = futures_in_sources(&tree);
    problems.extend(futures_in_manifest(&tree));
    assert_none(problems);
}

#[test]
fn the_reactor_hides_no_item_from_its_documentation() {
    assert_none(hidden_items(&Tree::of_workspace()));
}

fn unlisted_unsafe(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let purpose = "a table whose first column names each file with `unsafe` in backticks, beside its rules";
    let listed = listed_files(tree.need(SAFETY, purpose, &mut problems));
    for (path, text) in tree.rust() {
        let first = lex(text).iter().find(|token| token.is_word("unsafe")).map(|token| token.line);
        match (first, listed.get(path)) {
            (Some(line), None) => {
                let advice =
                    format!("`unsafe` in a file that {SAFETY} does not list; do without, or add it there");
                problems.push(Problem::new(path, line, advice));
            }
            (None, Some(line)) => {
                problems.push(Problem::new(SAFETY, *line, format!("{path} has no `unsafe`; remove its row")));
            }
            _ => {}
        }
    }
    for (path, line) in listed.iter().filter(|(path, _)| tree.get(path).is_none()) {
        problems.push(Problem::new(SAFETY, *line, format!("{path} does not exist; correct its row")));
    }
    problems
}

/// The paths in the first column of the page's tables, with their lines.
fn listed_files(page: &str) -> BTreeMap<&str, usize> {
    let rows = page.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
    let first_cells = rows.filter_map(|(index, line)| Some((index, line.split('|').nth(1)?)));
    let paths =
        first_cells.flat_map(|(index, cell)| cell.split('`').skip(1).step_by(2).map(move |p| (p, index + 1)));
    paths.filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn unfinished(tree: &Tree) -> Vec<Problem> {
    find_all(tree, "", |tokens, at| {
        let call =
            ["todo", "unimplemented", "dbg"].into_iter().find(|name| matches_at(tokens, at, &[name, "!"]))?;
        Some(format!("`{call}!` is left; finish the code or take it out"))
    })
}

fn futures_in_sources(tree: &Tree) -> Vec<Problem> {
    find_all(tree, REACTOR, |tokens, at| {
        let word = tokens[at].text;
        let path = ["core", "std"].contains(&word) && matches_at(tokens, at + 1, &[":", ":"]);
        let found = if path {
            let module =
                imported(&tokens[at + 3..]).find(|token| token.is_word("future") || token.is_word("task"))?;
            format!("{word}::{}", module.text)
        } else if tokens[at].is_word("async") || tokens[at].is_word("await") {
            word.to_owned()
        } else {
            return None;
        };
        Some(format!("`{found}` in the reactor, which knows nothing of futures; move it to crates/tasks"))
    })
}

/// The modules that a path names right after its crate: one, or those directly in braces.
fn imported<'t>(tokens: &'t [Token<'t>]) -> impl Iterator<Item = &'t Token<'t>> {
    let in_braces = tokens.first().is_some_and(|token| token.is_mark("{"));
    let mut depth = 0_i32;
    let direct = tokens.iter().take_while(move |token| {
        depth += i32::from(token.is_mark("{")) - i32::from(token.is_mark("}"));
        depth > 0
    });
    let (group, single) = if in_braces { (usize::MAX, 0) } else { (0, 1) };
    direct.take(group).chain(tokens.iter().take(single))
}

fn futures_in_manifest(tree: &Tree) -> Vec<Problem> {
    let path = format!("{REACTOR}/Cargo.toml");
    let mut problems = Vec::new();
    let manifest = tree.need(&path, "the reactor's manifest", &mut problems);
    for entry in dependencies(manifest) {
        let name = entry.key.trim_end_matches(".workspace");
        if name.starts_with("futures") || name.starts_with("async-") || name == "marline-tasks" {
            let advice = format!("the reactor depends on `{name}`; use it in crates/tasks instead");
            problems.push(Problem::new(&path, entry.line, advice));
        }
    }
    problems
}

fn hidden_items(tree: &Tree) -> Vec<Problem> {
    find_all(tree, REACTOR, |tokens, at| {
        let hidden = matches_at(tokens, at, &["doc", "(", "hidden"]);
        hidden.then(|| {
            "`doc(hidden)` in the reactor; make the item public and document it, or private".to_owned()
        })
    })
}

/// A problem for each token of the Rust files in `folder` (everywhere, if empty) for which `look` has advice.
fn find_all(tree: &Tree, folder: &str, look: impl Fn(&[Token<'_>], usize) -> Option<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| folder.is_empty() || is_in(path, folder)) {
        let tokens = lex(text);
        for (at, token) in tokens.iter().enumerate() {
            problems.extend(look(&tokens, at).map(|advice| Problem::new(path, token.line, advice)));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_reactor(text: &str) -> Tree {
        Tree::fixture(&[("crates/reactor/src/a.rs", text), ("crates/tasks/src/a.rs", text)])
    }

    #[test]
    fn unsafe_and_the_safety_page_must_agree() {
        let page =
            "| File | Rules |\n|---|---|\n| `a.rs` | one |\n| `b.rs`, `gone.rs` | two |\nSee `c.rs`.\n";
        let code = "#![deny(unsafe_code)] // unsafe\nunsafe fn f() {}";
        let tree = Tree::fixture(&[(SAFETY, page), ("a.rs", code), ("b.rs", "// unsafe"), ("c.rs", code)]);
        let mut found: Vec<_> = unlisted_unsafe(&tree).iter().map(ToString::to_string).collect();
        found.sort();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("c.rs:2: `unsafe` in a file that"));
        assert!(found[1].starts_with("docs/safety.md:4: b.rs has no"));
        assert!(found[2].starts_with("docs/safety.md:4: gone.rs does not exist"));
    }

    #[test]
    fn a_missing_safety_page_is_a_problem() {
        assert!(
            unlisted_unsafe(&Tree::fixture(&[]))[0]
                .to_string()
                .starts_with("docs/safety.md:1: the file does not")
        );
    }

    #[test]
    fn unfinished_code_is_found_but_not_in_text() {
        let tree = Tree::fixture(&[("a.rs", "// todo!()\nfn a() { \"dbg!\"; todo() }\nfn b() { todo!() }")]);
        let found = unfinished(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a.rs:3: `todo!`"));
    }

    #[test]
    fn futures_are_found_in_the_reactor_however_they_are_named() {
        for text in
            ["use std::future::Future;", "use core::{cell::Cell, task::Waker};", "async fn a() {}", "x.await"]
        {
            let found = futures_in_sources(&in_reactor(text));
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].to_string().starts_with("crates/reactor/src/a.rs:1: "));
        }
        let clean = "use std::{cell::Cell, rc::Rc}; use std::thread; struct S { task: u8 } fn future() { S { task: 1 }; }";
        assert!(futures_in_sources(&in_reactor(clean)).is_empty());
    }

    #[test]
    fn the_reactor_may_not_depend_on_futures() {
        let manifest = "[dependencies]\nmio = \"1\"\n[dev-dependencies]\nfutures-core.workspace = true\n";
        let found = futures_in_manifest(&Tree::fixture(&[("crates/reactor/Cargo.toml", manifest)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("Cargo.toml:4: the reactor depends on `futures-core`"));
    }

    #[test]
    fn hidden_items_are_found() {
        assert_eq!(hidden_items(&in_reactor("#[doc(hidden)]\npub fn a() {}")).len(), 1);
        assert!(hidden_items(&in_reactor("#[doc = \"hidden\"]\npub fn a() {}")).is_empty());
    }
}
