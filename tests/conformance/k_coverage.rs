//! K08: every S, W, R, H and X item runs on the memory backend under N random seeds.
//!
//! The macros `conformance!`, `streams!` and `secured!` stamp each of their functions over the seeds. So it is enough that a test of
//! each sentence stands in one of them, or else goes through the seeds by itself, and that the macros do what they say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use marline_reactor::ChoiceKind;
use marline_reactor::testing::Chunking;

use crate::conformance;
use crate::support::World;

const SECTIONS: [char; 5] = ['s', 'w', 'r', 'h', 'x'];
const SEEDS: usize = 16;

/// How a test that no macro stamps goes through the seeds.
const BY_ITSELF: [&str; 2] = ["World::on_seeded_memory(", "MemoryReactor::seeded("];

/// Sentences about something that only a kernel has, so that no test of theirs can run on memory.
const ONLY_ON_SOCKETS: [(&str, &str); 1] = [("w11", "there are no signals on memory")];

/// The sources of the suite, by name.
fn sources() -> BTreeMap<String, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let entries = std::fs::read_dir(folder).expect("the folder of the suite");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("a source"))
    })
    .collect()
}

/// The identifiers that begin a test's name: `w03_w04_holds` has two.
fn identifiers(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split('_').map_while(|word| {
        let digits = word.strip_prefix(SECTIONS)?;
        (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.to_owned())
    })
}

/// The functions of a source, and whether each runs under the seeds. The sources are formatted, so a macro's call begins
/// and ends in the first column.
fn tests(source: &str) -> Vec<(&str, bool)> {
    let (mut found, mut in_macro) = (Vec::new(), false);
    for line in source.lines() {
        match line {
            "conformance! {" | "streams! {" | "secured! {" => in_macro = true,
            "}" => in_macro = false,
            _ => {}
        }
        let name = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next());
        if let Some(name) = name {
            found.push((name, in_macro));
        } else if let Some((_, seeded)) = found.last_mut() {
            *seeded |= BY_ITSELF.iter().any(|call| line.contains(call));
        }
    }
    found
}

/// The sentences that some test carries, and those of them that a stamped test carries.
fn carried<'a>(sources: impl Iterator<Item = &'a str>) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut stamped) = (BTreeSet::new(), BTreeSet::new());
    for source in sources {
        for (name, is_stamped) in tests(source) {
            all.extend(identifiers(name));
            if is_stamped {
                stamped.extend(identifiers(name));
            }
        }
    }
    (all, stamped)
}

#[test]
fn k08_every_item_about_streams_is_stamped_over_the_seeds() {
    let sources = sources();
    let (all, stamped) = carried(sources.values().map(String::as_str));
    assert!(stamped.contains("s10") && stamped.contains("w13"), "the suite is read: {stamped:?}");
    let excused: BTreeSet<String> = ONLY_ON_SOCKETS.iter().map(|(id, _)| (*id).to_owned()).collect();
    let missing: Vec<_> = all.difference(&stamped).filter(|id| !excused.contains(*id)).collect();
    assert!(missing.is_empty(), "put a test of each into `conformance!` or `streams!`: {missing:?}");
    let needless: Vec<_> = excused.intersection(&stamped).collect();
    assert!(needless.is_empty(), "these do run on memory: {needless:?}");
}

#[test]
fn k08_a_sentence_outside_of_the_macros_would_be_found() {
    let source =
        "streams! {\n    fn w01_w02_x(world: &World) {\n    }\n}\n#[test]\nfn w03_y() {}\nfn helper() {}\n";
    let (all, stamped) = carried(std::iter::once(source));
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["w01", "w02", "w03"]);
    assert_eq!(stamped.into_iter().collect::<Vec<_>>(), ["w01", "w02"]);
}

/// What a stamped test sees of its worlds: the chunking, and the first numbers of chance.
fn describe(world: &World) -> Option<(Chunking, Vec<usize>)> {
    let network = world.as_memory()?.network();
    let choices = network.choices();
    Some((network.chunking(), (0..8).map(|_| choices.choose(ChoiceKind::Event, 1 << 30)).collect()))
}

#[test]
fn k08_a_seeded_test_runs_under_sixteen_seeds_that_differ() {
    let worlds = RefCell::new(Vec::new());
    World::on_seeded_memory(|world| worlds.borrow_mut().push(describe(world).expect("memory")));
    let worlds = worlds.into_inner();
    assert_eq!(worlds.len(), SEEDS);
    assert!(worlds.iter().all(|(chunking, _)| *chunking == Chunking::Chosen));
    let streams: BTreeSet<_> = worlds.into_iter().map(|(_, numbers)| numbers).collect();
    assert_eq!(streams.len(), SEEDS, "each seed has a stream of its own");
}

#[test]
fn k08_the_macros_stamp_over_the_seeds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance/support");
    let read = |path| std::fs::read_to_string(folder.join(path)).expect("the macros");
    let stamp = read("stamp.rs") + &read("secure/stamp.rs");
    let macros: Vec<_> = stamp.split("macro_rules! ").skip(1).collect();
    let names: Vec<_> = macros.iter().map(|text| text.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(names, ["conformance", "streams", "secured"]);
    for text in macros {
        assert!(text.contains("#[test]\n            fn memory_seeded() {\n"));
        assert!(text.contains("World::on_seeded_memory(body);"));
    }
}

thread_local! {
    static SEEN: RefCell<BTreeSet<Vec<usize>>> = const { RefCell::new(BTreeSet::new()) };
}

conformance! {
    fn k08_a_stamped_test_meets_each_seed_once(world: &World) {
        // Each stamp has a thread of its own, and the seeds of one stamp share it.
        let new = describe(world).is_none_or(|(_, numbers)| SEEN.with(|seen| seen.borrow_mut().insert(numbers)));
        assert!(new, "the same world twice");
    }
}
