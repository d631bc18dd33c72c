//! Files, functions and the facade stay small.

use crate::functions::functions;
use crate::lexer::{lex, matches_at};
use crate::tree::{Problem, Tree, assert_none, is_in};

const FILE: usize = 500;
const FUNCTION: usize = 80;
const FACADE: usize = 150;

#[test]
fn no_file_is_longer_than_its_budget() {
    assert_none(long_files(&Tree::of_workspace()));
}

#[test]
fn no_function_is_longer_than_its_budget() {
    assert_none(long_functions(&Tree::of_workspace()));
}

#[test]
fn the_facade_is_small_and_forbids_unsafe_code() {
    assert_none(facade(&Tree::of_workspace()));
}

fn long_files(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.rust() {
        let lines = text.lines().count();
        if lines > FILE {
            let advice = format!("the file has {lines} lines, at most {FILE} are allowed; split it by idea");
            problems.push(Problem::new(path, FILE + 1, advice));
        }
    }
    problems
}

fn long_functions(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.rust() {
        for function in functions(text).iter().filter(|function| function.length > FUNCTION) {
            let (name, length) = (function.name, function.length);
            let advice =
                format!("`{name}` has {length} lines, at most {FUNCTION} are allowed; take steps out of it");
            problems.push(Problem::new(path, function.line, advice));
        }
    }
    problems
}

fn facade(tree: &Tree) -> Vec<Problem> {
    const ROOT: &str = "crates/marline/src/lib.rs";
    let mut problems = Vec::new();
    let root = lex(tree.need(ROOT, "the facade that users depend on", &mut problems));
    let forbids = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    if !(0..root.len()).any(|at| matches_at(&root, at, &forbids)) {
        problems.push(Problem::new(ROOT, 1, "add `#![forbid(unsafe_code)]`"));
    }
    let sources = tree.rust().filter(|(path, _)| is_in(path, "crates/marline/src"));
    let lines: usize = sources.map(|(_, text)| text.lines().count()).sum();
    if lines > FACADE {
        let advice =
            format!("the facade has {lines} lines, at most {FACADE} are allowed; move logic to its crate");
        problems.push(Problem::new(ROOT, 1, advice));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_budget_is_named() {
        let tree = Tree::fixture(&[("a.rs", &"\n".repeat(500)), ("b.rs", &"\n".repeat(501))]);
        let found = long_files(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("b.rs:501: the file has 501 lines"));
    }

    #[test]
    fn a_function_over_budget_is_named() {
        let of_lines = |n: usize| format!("\nfn f() {{{}}}", "\n".repeat(n - 1));
        assert!(long_functions(&Tree::fixture(&[("a.rs", &of_lines(80))])).is_empty());
        let found = long_functions(&Tree::fixture(&[("a.rs", &of_lines(81))]));
        assert!(found[0].to_string().starts_with("a.rs:2: `f` has 81 lines"), "{found:?}");
    }

    #[test]
    fn the_facade_needs_its_attribute_and_its_budget() {
        let path = "crates/marline/src/lib.rs";
        assert!(facade(&Tree::fixture(&[(path, "#![forbid(unsafe_code)]\n")])).is_empty());
        let long = "// #![forbid(unsafe_code)]\n".repeat(100);
        assert_eq!(facade(&Tree::fixture(&[(path, &long), ("crates/marline/src/a.rs", &long)])).len(), 2);
        assert_eq!(facade(&Tree::fixture(&[])).len(), 2);
    }
}
