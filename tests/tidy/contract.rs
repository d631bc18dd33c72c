//! Every sentence of the contract has a test, or stands in the list of those that wait for one.
//!
//! A test carries an identifier in its name (`fn w13_pauses_above_high`, `fn s04_s05_lost_once`) or at the beginning of
//! a line of its documentation (`/// W13, W14: ...`). In the folders of tests every function counts, since suites stamp
//! plain functions over the backends; in a crate's sources only those marked `#[test]` do.

use std::collections::{BTreeMap, BTreeSet};

use crate::functions::{Function, functions};
use crate::tree::{Problem, Tree, assert_none, is_in};

const CONTRACT: &str = "docs/contract.md";
const PENDING: &str = "tests/conformance/pending.txt";

#[test]
fn every_sentence_of_the_contract_is_tested_or_pending() {
    assert_none(check(&Tree::of_workspace()));
}

fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let contract = tree.need(CONTRACT, "the behaviours that a program may rely on", &mut problems);
    let pending = tree.need(PENDING, "the identifiers that no test carries yet, one a line", &mut problems);
    let sentences = sentences(contract, &mut problems);
    let pending = pending_list(pending, &sentences, &mut problems);
    let tested = tested(tree, &sentences, &mut problems);
    for (id, line) in &sentences {
        if !tested.contains_key(id) && !pending.contains_key(id) {
            let name = id.to_lowercase();
            let advice = format!("no test carries {id}; write `fn {name}_...` or list {id} in {PENDING}");
            problems.push(Problem::new(CONTRACT, *line, advice));
        }
    }
    for (id, line) in &pending {
        if let Some(place) = tested.get(id) {
            let advice = format!("{id} has a test ({place}); remove it from the list");
            problems.push(Problem::new(PENDING, *line, advice));
        }
    }
    problems
}

/// The identifiers of the lines `- **W13** ...`, with the lines where they stand.
fn sentences(contract: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (index, line) in contract.lines().enumerate() {
        let id = line.strip_prefix("- **").and_then(|rest| rest.split_once("** ")).map(|(id, _)| id);
        let Some(id) = id else { continue };
        if !is_identifier(id) {
            problems.push(Problem::new(
                CONTRACT,
                index + 1,
                format!("{id} is not one or two letters and two digits"),
            ));
        } else if found.insert(id.to_owned(), index + 1).is_some() {
            problems.push(Problem::new(
                CONTRACT,
                index + 1,
                format!("{id} names two sentences; renumber one"),
            ));
        }
    }
    found
}

fn pending_list(
    text: &str,
    sentences: &BTreeMap<String, usize>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let id = line.split('#').next().unwrap_or("").trim();
        if id.is_empty() {
            continue;
        }
        if !sentences.contains_key(id) {
            problems.push(Problem::new(PENDING, index + 1, format!("{id} is not in {CONTRACT}; remove it")));
        } else if found.insert(id.to_owned(), index + 1).is_some() {
            problems.push(Problem::new(PENDING, index + 1, format!("{id} is listed twice; remove one")));
        }
    }
    found
}

/// The identifiers that tests carry, each with the place of one of them.
fn tested(
    tree: &Tree,
    sentences: &BTreeMap<String, usize>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in tree.rust() {
        let Some(place) = Place::of(path) else { continue };
        for function in functions(text).iter().filter(|f| f.is_test || place == Place::Suite) {
            for id in carried(function) {
                if !sentences.contains_key(&id) {
                    let advice = format!(
                        "`{}` carries {id}, which {CONTRACT} does not have; rename it",
                        function.name
                    );
                    problems.push(Problem::new(path, function.line, advice));
                }
                found.entry(id).or_insert_with(|| format!("{path}:{}", function.line));
            }
        }
    }
    found
}

#[derive(PartialEq, Eq)]
enum Place {
    Suite,
    Sources,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let in_crate =
            path.strip_prefix("crates/").and_then(|rest| rest.split_once('/')).map(|(_, inner)| inner);
        match in_crate {
            None => is_in(path, "tests").then_some(Self::Suite),
            Some(inner) if is_in(inner, "tests") => Some(Self::Suite),
            Some(inner) => is_in(inner, "src").then_some(Self::Sources),
        }
    }
}

fn carried(function: &Function<'_>) -> BTreeSet<String> {
    let mut words: Vec<&str> = function.name.split('_').collect();
    words.pop(); // What follows the last underscore is no prefix.
    let in_name = words.into_iter().take_while(|word| word.chars().all(|c| !c.is_uppercase()));
    let mut ids: BTreeSet<String> =
        in_name.map(str::to_uppercase).take_while(|word| is_identifier(word)).collect();
    for line in &function.docs {
        let words = line.split([' ', ',', ':', ';', '.']).filter(|word| !word.is_empty() && *word != "and");
        ids.extend(words.take_while(|word| is_identifier(word)).map(str::to_owned));
    }
    ids
}

/// One or two capital letters and two digits.
fn is_identifier(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = word.len() - digits.len();
    (1..=2).contains(&letters) && digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCES: &str = "# x\n- **S01** One.\n- **DG02** Two.\n- **W13** Three.\n";

    fn problems(pending: &str, path: &str, test: &str) -> Vec<String> {
        let tree = Tree::fixture(&[(CONTRACT, SENTENCES), (PENDING, pending), (path, test)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_docs_and_the_pending_list_cover_sentences() {
        let test = "fn s01_dg02_hold() {}\n/// W13: so.\nfn other() {}";
        assert!(problems("", "tests/conformance/a.rs", test).is_empty());
        assert!(
            problems("# later\nDG02\nW13 # why\n", "crates/x/src/a.rs", "#[test] fn s01_holds() {}")
                .is_empty()
        );
    }

    #[test]
    fn a_sentence_without_test_is_named_with_its_line() {
        let found = problems("DG02\nS01", "tests/a.rs", "fn w1_x() {}");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("docs/contract.md:4: no test carries W13; write `fn w13_...`"),
            "{found:?}"
        );
    }

    #[test]
    fn the_pending_list_may_not_name_what_is_tested_or_unknown() {
        let found = problems("DG02\nS01\nW13\nX99", "crates/x/tests/a.rs", "fn s01_x() {}");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("pending.txt:4: X99 is not in"));
        assert!(found[1].contains("pending.txt:2: S01 has a test (crates/x/tests/a.rs:1)"));
    }

    #[test]
    fn a_test_may_not_carry_an_unknown_identifier() {
        let found = problems("DG02\nS01\nW13", "tests/a.rs", "\nfn q77_x() {}");
        assert!(found[0].starts_with("tests/a.rs:2: `q77_x` carries Q77"), "{found:?}");
    }

    #[test]
    fn production_code_proves_nothing() {
        let found = problems("DG02\nW13", "crates/x/src/a.rs", "/// S01\nfn s01_x() {}");
        assert!(found[0].contains("no test carries S01"), "{found:?}");
    }
}
