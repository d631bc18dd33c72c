//! What callgrind writes: how many instructions each function executed itself.

use std::collections::{BTreeMap, HashMap};

/// Instructions by function, without those of what it calls.
pub type Profile = BTreeMap<String, u64>;

/// Reads a file of callgrind's with one event and positions that are lines.
#[must_use]
pub fn parse(text: &str) -> Profile {
    let (mut profile, mut names) = (Profile::new(), HashMap::new());
    let mut current = String::new();
    let mut is_callee = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            current = full_name(name, &mut names);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            // Not its place, but it may be the first that tells the name.
            full_name(name, &mut names);
        } else if line.starts_with("calls=") {
            is_callee = true;
        } else if let Some(cost) = cost(line) {
            // The line behind `calls=` is what the callee executed, which its own lines tell too.
            if !std::mem::take(&mut is_callee) {
                *profile.entry(current.clone()).or_default() += cost;
            }
        }
    }
    profile
}

/// A name is written once, behind a number, and is later the number alone.
fn full_name(text: &str, names: &mut HashMap<String, String>) -> String {
    match text.split_once(' ') {
        Some((number, name)) => {
            let name = short(name);
            names.insert(number.to_owned(), name.clone());
            name
        }
        None => names.get(text).cloned().unwrap_or_else(|| short(text)),
    }
}

/// Without the hash that the compiler appends, and without the level of a recursion.
fn short(name: &str) -> String {
    let name = name
        .split_once('\'')
        .filter(|(_, level)| level.parse::<u32>().is_ok())
        .map_or(name, |(name, _)| name);
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            path.to_owned()
        }
        _ => name.to_owned(),
    }
}

/// The second number of a line that begins with a position: a number, a difference, or `*` for the same.
fn cost(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    let is_position = position == "*" || position.trim_start_matches(['+', '-']).parse::<u64>().is_ok();
    cost.trim().parse().ok().filter(|_| is_position)
}

/// How many instructions each operation has in which function, most first, from runs with fewer operations and with more.
#[must_use]
pub fn difference(fewer: &Profile, more: &Profile, operations: u64) -> Vec<(String, f64)> {
    let before = |name: &String| fewer.get(name).copied().unwrap_or(0) as f64;
    let mut all: Vec<(String, f64)> = more
        .iter()
        .map(|(name, count)| (name.clone(), (*count as f64 - before(name)) / operations as f64))
        .collect();
    all.sort_by(|left, right| right.1.total_cmp(&left.1));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
events: Ir
fl=(1) a.rs
fn=(1) a::main::h0123456789abcdef
10 5
+1 7
cfn=(2) b::work
calls=3 20
* 300
fn=(2)
fi=(2) inlined.rs
20 100
-4 200
fn=(3) <a as b>::c'2
1 1

totals: 613
";

    #[test]
    fn what_a_function_executed_itself_is_told_from_what_it_called() {
        let found = parse(FILE);
        let expected = [("<a as b>::c", 1), ("a::main", 12), ("b::work", 300)];
        assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)).into());
    }

    #[test]
    fn what_both_runs_have_cancels() {
        let profile = |work, start| Profile::from([("start".to_owned(), start), ("work".to_owned(), work)]);
        let found = difference(&profile(100, 70), &profile(250, 70), 10);
        assert_eq!(found, [("work".to_owned(), 15.0), ("start".to_owned(), 0.0)]);
    }
}
