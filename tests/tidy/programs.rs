//! Every example is declared, listed, headed by its command, and short.

use crate::manifest::targets;
use crate::tree::{Problem, Tree, assert_none};

const LONGEST: usize = 120;

/// Programs whose shortness is a promise, with the lines they may have, blank ones and comments apart.
const SHORT: [(&str, usize); 2] = [("echo_callback", 12), ("pubsub", 25)];

#[test]
fn every_example_is_declared_listed_and_says_how_to_run_it() {
    assert_none(presented(&Tree::of_workspace()));
}

#[test]
fn the_short_examples_stay_short() {
    let tree = Tree::of_workspace();
    for (name, most) in SHORT {
        let count = tree.get(&format!("examples/{name}.rs")).map(|text| lines_of_code(text).to_string());
        println!("{name}: {} lines of code of at most {most}", count.as_deref().unwrap_or("no"));
    }
    assert_none(short(&tree));
}

fn presented(tree: &Tree) -> Vec<Problem> {
    const MANIFEST: &str = "examples/Cargo.toml";
    const README: &str = "README.md";
    let mut problems = Vec::new();
    let declared = targets(tree.need(MANIFEST, "the examples' manifest", &mut problems), "example");
    let readme =
        tree.need(README, "what Marline is, a program that runs, and the list of examples", &mut problems);
    for (name, path, text) in examples(tree) {
        let file = path.strip_prefix("examples/").unwrap_or(path);
        if !declared.contains(&(name, file)) {
            let entry = format!("[[example]] name = \"{name}\" path = \"{file}\"");
            problems.push(Problem::new(
                path,
                1,
                format!("the example is not declared; add {entry} to {MANIFEST}"),
            ));
        }
        if !mentions(readme, name) {
            problems.push(Problem::new(path, 1, format!("{README} does not list `{name}`; add it there")));
        }
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let command = format!("cargo run --example {name}");
        if !head.iter().any(|line| line.contains(&command)) {
            problems.push(Problem::new(
                path,
                1,
                format!("begin with `//!` lines that name the command `{command}`"),
            ));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            let advice = format!("the example has {lines} lines, at most {LONGEST} are allowed; show less");
            problems.push(Problem::new(path, LONGEST + 1, advice));
        }
    }
    for (name, path) in declared.iter().filter(|(_, path)| tree.get(&format!("examples/{path}")).is_none()) {
        let advice = format!("`{name}` is declared, but examples/{path} does not exist; remove one of them");
        problems.push(Problem::new(MANIFEST, 1, advice));
    }
    problems
}

fn short(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, most) in SHORT {
        let path = format!("examples/{name}.rs");
        let count =
            lines_of_code(tree.need(&path, "one of the programs that specify the feel", &mut problems));
        if count > most {
            let advice =
                format!("{count} lines of code, at most {most} are promised; make the library do more");
            problems.push(Problem::new(&path, 1, advice));
        }
    }
    problems
}

/// A file each, or a folder with a `main.rs`.
fn examples(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str)> {
    tree.rust().filter_map(|(path, text)| {
        let name = path.strip_prefix("examples/")?.strip_suffix(".rs")?;
        let name = name.strip_suffix("/main").unwrap_or(name);
        (!name.contains('/')).then_some((name, path, text))
    })
}

/// Whether `name` stands in `text` as a word of its own, so that `echo` is not found in `echo_await`.
fn mentions(text: &str, name: &str) -> bool {
    text.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == name)
}

fn lines_of_code(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "//! Says hello.\n//!\n//! Run it: `cargo run --example hi tcp://127.0.0.1:8000`\n\nfn main() {}\n";

    #[test]
    fn a_presented_example_passes() {
        let manifest = "[[example]]\nname = \"hi\"\npath = \"hi.rs\"\n";
        let tree = Tree::fixture(&[
            ("examples/Cargo.toml", manifest),
            ("README.md", "- `hi`: greets"),
            ("examples/hi.rs", GOOD),
            ("examples/src/lib.rs", ""),
        ]);
        assert_none(presented(&tree));
    }

    #[test]
    fn each_lack_of_an_example_is_named() {
        let bare = format!("fn main() {{}}{}", "\n".repeat(LONGEST + 1));
        let manifest = "[[example]]\nname = \"gone\"\npath = \"gone.rs\"\n";
        let tree = Tree::fixture(&[
            ("examples/Cargo.toml", manifest),
            ("README.md", "hi_there"),
            ("examples/hi.rs", &bare),
        ]);
        let found: Vec<_> = presented(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 5, "{found:?}");
        for (problem, part) in
            found.iter().zip(["not declared", "does not list", "`//!`", "121 lines", "`gone`"])
        {
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn only_code_counts_against_a_short_example() {
        let code = |n: usize| format!("//! x\n\n// y\n{}", "    a();\n".repeat(n));
        let tree = |n| Tree::fixture(&[("examples/echo_callback.rs", &code(n)), ("examples/pubsub.rs", "")]);
        assert!(short(&tree(12)).is_empty());
        assert!(short(&tree(13))[0].to_string().starts_with("examples/echo_callback.rs:1: 13 lines of code"));
    }
}
