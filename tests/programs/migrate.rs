//! The server that moves from one style to the other: every step does the same, and no step is long.

use std::fs;
use std::net::Shutdown;
use std::path::Path;

use similar::{ChangeTag, TextDiff};

use super::Program;

/// The steps, in order.
const STEPS: [&str; 4] = ["step1_async", "step2_conversation", "step3_lines", "step4_callbacks"];
/// So many lines may be added and removed from one to the next.
const MOST: usize = 30;

fn serves(step: &str) {
    let Some(program) = Program::start_with("migrate", &[step, "tcp://127.0.0.1:0"]) else { return };
    let (mut first, mut second) = (program.connect(), program.connect());
    first.say("apple pe");
    second.say("melon melon\r\n");
    second.expect("80");
    first.say("ar\n");
    first.expect("5");
    // Several at once keep their order, and the last is answered also after the end.
    first.say("apple melon\napple stone\napple\n\npear pear\n");
    first.stream.get_ref().shutdown(Shutdown::Write).expect("an end");
    for answer in ["43", "unknown", "unknown", "unknown", "4", ""] {
        first.expect(answer);
    }
    assert_eq!(first.hear(), "", "it has ended");
    second.say("pear apple\n");
    second.expect("5");
}

#[test]
fn migrate_step_1_serves() {
    serves("1");
}

#[test]
fn migrate_step_2_serves() {
    serves("2");
}

#[test]
fn migrate_step_3_serves() {
    serves("3");
}

#[test]
fn migrate_step_4_serves() {
    serves("4");
}

#[test]
fn each_step_of_migrate_changes_few_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/migrate");
    let texts = STEPS.map(|step| fs::read_to_string(folder.join(format!("{step}.rs"))).expect("a step"));
    for (steps, texts) in STEPS.windows(2).zip(texts.windows(2)) {
        let diff = TextDiff::from_lines(&texts[0], &texts[1]);
        let changed = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal).count();
        println!("{} to {}: {changed} lines added and removed, of at most {MOST}", steps[0], steps[1]);
        assert!((1..=MOST).contains(&changed), "{} to {}: {changed} lines", steps[0], steps[1]);
    }
}
