//! As much of TOML as the workspace's manifests use: tables, and one key with its value a line.

/// A line `key = value` of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The table's name without brackets: `dependencies`, `[example]`.
    pub(crate) table: &'a str,
    /// The number of the table within the file, which keeps several `[[example]]` apart.
    pub(crate) number: usize,
    pub(crate) key: &'a str,
    /// The value as written, quotes removed where it is a string.
    pub(crate) value: &'a str,
    pub(crate) line: usize,
}

pub(crate) fn entries(text: &str) -> Vec<Entry<'_>> {
    let (mut table, mut number) = ("", 0);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.strip_suffix(']').map_or(name, |_| &line[1..line.len() - 1]);
            number += 1;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            found.push(Entry { table, number, key: key.trim().trim_matches('"'), value, line: index + 1 });
        }
    }
    found
}

/// The `name` and `path` of every `[[kind]]` target.
pub(crate) fn targets<'a>(text: &'a str, kind: &str) -> Vec<(&'a str, &'a str)> {
    let all = entries(text);
    let table = format!("[{kind}]");
    let of = |number: usize, key: &str| {
        all.iter().find(|e| e.number == number && e.key == key).map_or("", |e| e.value)
    };
    all.iter()
        .filter(|entry| entry.table == table && entry.key == "name")
        .map(|entry| (entry.value, of(entry.number, "path")))
        .collect()
}

/// Every dependency, of whichever kind and for whichever platform; `a.workspace = true` is of the name `a`.
pub(crate) fn dependencies(text: &str) -> Vec<Entry<'_>> {
    let is_dependencies = |table: &str| table.ends_with("dependencies");
    entries(text).into_iter().filter(|entry| is_dependencies(entry.table)).collect()
}

#[test]
fn targets_have_their_own_name_and_path() {
    let text = "[[test]]\nname = \"a\"\npath = \"a/main.rs\"\n\n[[test]]\npath = \"b.rs\"\nname = \"b\"\n[[bin]]\nname = \"c\"\n";
    assert_eq!(targets(text, "test"), [("a", "a/main.rs"), ("b", "b.rs")]);
    assert_eq!(targets(text, "bin"), [("c", "")]);
}

#[test]
fn dependencies_of_every_kind_are_found() {
    let text = "[package]\nname = \"x\"\n[dependencies]\n# no = \"1\"\na = { workspace = true }\n\
                [target.'cfg(loom)'.dependencies]\nb = \"1\"\n[dev-dependencies]\nc.workspace = true\n";
    let found: Vec<_> = dependencies(text).iter().map(|e| (e.key, e.value, e.line)).collect();
    assert_eq!(found, [("a", "{ workspace = true }", 5), ("b", "1", 7), ("c.workspace", "true", 9)]);
}
