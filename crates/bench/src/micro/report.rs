//! What is printed and written.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::case::{Case, Plan};
use super::contestant::{Contestant, Ready};
use super::rounds::{Outcome, Run};
use crate::contestant::LeftOut;
use crate::stats::{Estimate, estimate, median, quartiles};

/// What an operation took, by one of two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The processor time of the process.
    Cpu,
    /// The time on the wall.
    Wall,
}

impl Clock {
    fn of(self, run: &Run) -> f64 {
        let total = if self == Self::Cpu { run.measured.cpu } else { run.measured.wall };
        total as f64 / run.measured.operations as f64
    }

    fn name(self) -> &'static str {
        if self == Self::Cpu { "cpu" } else { "wall" }
    }
}

/// A row of the tables.
type Row = (Plan, Clock);

fn rows(plans: &[Plan]) -> Vec<Row> {
    let of = |plan: &Plan| {
        let wall = plan.case.waits().then_some((*plan, Clock::Wall));
        std::iter::once((*plan, Clock::Cpu)).chain(wall)
    };
    plans.iter().flat_map(of).collect()
}

fn title((plan, clock): Row) -> String {
    match clock {
        Clock::Cpu => plan.title.to_owned(),
        Clock::Wall => format!("{}, on the wall", plan.title),
    }
}

/// The tables, in Markdown: what each contestant took, ours divided by the best other, and who has no numbers.
#[must_use]
pub fn markdown(outcome: &Outcome, plans: &[Plan], ready: &[Ready], left_out: &[LeftOut]) -> String {
    let contestants: Vec<Contestant> = ready.iter().map(|ready| ready.contestant).collect();
    let heads =
        |of: &[Contestant]| -> String { of.iter().map(|found| format!(" {} |", found.name)).collect() };
    let rule = |count: usize| "---:|".repeat(count);
    let mut text = format!("| ns per operation |{}\n|---|{}\n", heads(&contestants), rule(contestants.len()));
    for row in rows(plans) {
        let cells: String =
            contestants.iter().map(|found| format!(" {} |", cell(outcome, row, found.name))).collect();
        let _ = writeln!(text, "| {} |{cells}", title(row));
    }
    let ours: Vec<Contestant> = contestants.iter().copied().filter(Contestant::is_ours).collect();
    let _ =
        write!(text, "\n| ours, divided by the best other |{}\n|---|{}\n", heads(&ours), rule(ours.len()));
    for row in rows(plans) {
        let Some(best) = best(outcome, row, &contestants) else { continue };
        let cells: String =
            ours.iter().map(|own| format!(" {} |", ratio_cell(outcome, row, own.name, best))).collect();
        let _ = writeln!(text, "| {} ({best}) |{cells}", title(row));
    }
    text + &notes(outcome, left_out)
}

/// The median, and half of what lies between the quartiles as a share of it.
fn cell(outcome: &Outcome, (plan, clock): Row, name: &str) -> String {
    let found = values(outcome, plan.case, clock, name);
    match (median(&found), quartiles(&found)) {
        (Some(middle), Some((low, high))) => {
            let spread = 50.0 * (high - low) / middle;
            format!("{} ±{spread:.0} %", digits(middle))
        }
        _ => "–".to_owned(),
    }
}

fn digits(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}

fn ratio_cell(outcome: &Outcome, (plan, clock): Row, own: &str, other: &str) -> String {
    ratio(outcome, plan.case, clock, own, other).map_or_else(
        || "–".to_owned(),
        |Estimate { median, low, high }| format!("{median:.2} ({low:.2} to {high:.2})"),
    )
}

/// The other runtime whose median is the lowest. (The lowest of each round would be another one each time, and the lower the
/// more of them there are.)
fn best(outcome: &Outcome, (plan, clock): Row, contestants: &[Contestant]) -> Option<&'static str> {
    let others = contestants.iter().filter(|contestant| !contestant.is_ours());
    let measured = others.filter_map(|other| {
        median(&values(outcome, plan.case, clock, other.name)).map(|middle| (other.name, middle))
    });
    measured.min_by(|left, right| left.1.total_cmp(&right.1)).map(|(name, _)| name)
}

fn runs<'a>(outcome: &'a Outcome, case: Case, name: &'a str) -> impl Iterator<Item = &'a Run> {
    outcome.runs.iter().filter(move |run| run.case == case && run.name == name)
}

fn values(outcome: &Outcome, case: Case, clock: Clock, name: &str) -> Vec<f64> {
    runs(outcome, case, name).map(|run| clock.of(run)).collect()
}

/// The ratio of two contestants, each round by itself.
fn ratio(outcome: &Outcome, case: Case, clock: Clock, own: &str, other: &str) -> Option<Estimate> {
    let in_round = |round: usize| runs(outcome, case, other).find(|run| run.round == round);
    let ratios: Vec<f64> = runs(outcome, case, own)
        .filter_map(|run| Some(clock.of(run) / clock.of(in_round(run.round)?)))
        .collect();
    estimate(&ratios)
}

/// Who has no numbers, and why: a line for each contestant and reason.
fn notes(outcome: &Outcome, left_out: &[LeftOut]) -> String {
    let mut cases: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for missing in &outcome.missing {
        cases.entry((missing.name, &missing.reason)).or_default().push(missing.case.plan().title);
    }
    let mut text = String::new();
    for ((name, reason), titles) in cases {
        let _ = writeln!(text, "\nMissing: {name}: {}: {reason}", titles.join("; "));
    }
    for LeftOut { name, reason } in left_out {
        let _ = writeln!(text, "\nLeft out: {name}: {reason}");
    }
    text
}

/// Everything that was measured, and the ratios.
#[must_use]
pub fn document(outcome: &Outcome, plans: &[Plan], ready: &[Ready], left_out: &[LeftOut]) -> Value {
    let contestants: Vec<Contestant> = ready.iter().map(|ready| ready.contestant).collect();
    let cases: Vec<Value> = rows(plans)
        .into_iter()
        .map(|row| {
            let (plan, clock) = row;
            json!({
                "case": plan.name,
                "title": title(row),
                "clock": clock.name(),
                "best_other": best(outcome, row, &contestants),
                "contestants": contestants.iter().filter_map(|found| summary(outcome, row, found.name)).collect::<Vec<_>>(),
                "ratios": ratio_values(outcome, row, &contestants),
            })
        })
        .collect();
    let runs: Vec<Value> = outcome.runs.iter().map(run_value).collect();
    let missing: Vec<Value> = outcome
        .missing
        .iter()
        .map(|found| json!({ "name": found.name, "case": found.case.plan().name, "reason": found.reason }))
        .collect();
    let left: Vec<Value> =
        left_out.iter().map(|left| json!({ "name": left.name, "reason": left.reason })).collect();
    json!({ "mode": "micro", "cases": cases, "runs": runs, "missing": missing, "left_out": left })
}

fn summary(outcome: &Outcome, (plan, clock): Row, name: &str) -> Option<Value> {
    let found = values(outcome, plan.case, clock, name);
    let (low, high) = quartiles(&found)?;
    Some(
        json!({ "name": name, "median_ns": median(&found)?, "quartiles_ns": [low, high], "rounds": found.len() }),
    )
}

fn ratio_values(outcome: &Outcome, row: Row, contestants: &[Contestant]) -> Vec<Value> {
    let Some(best) = best(outcome, row, contestants) else { return Vec::new() };
    let of = |own: &Contestant| {
        let Estimate { median, low, high } = ratio(outcome, row.0.case, row.1, own.name, best)?;
        Some(json!({ "ours": own.name, "other": best, "median": median, "low": low, "high": high }))
    };
    contestants.iter().filter(|contestant| contestant.is_ours()).filter_map(of).collect()
}

fn run_value(run: &Run) -> Value {
    json!({
        "name": run.name,
        "case": run.case.plan().name,
        "round": run.round,
        "operations": run.measured.operations,
        "cpu_ns": run.measured.cpu,
        "wall_ns": run.measured.wall,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::micro::contestant::ALL;
    use crate::micro::program::Measured;
    use crate::micro::rounds::Missing;

    /// The machine is twice as slow in the second round; the ratios are the same in both.
    fn outcome() -> Outcome {
        let run = |name, round, cpu| Run {
            name,
            case: Case::Sleeps,
            round,
            measured: Measured { operations: 10, cpu, wall: 5 * cpu },
        };
        let runs = vec![
            run("tasks-readiness", 0, 3000),
            run("tokio", 0, 2000),
            run("smol", 0, 9000),
            run("tokio", 1, 4000),
            run("smol", 1, 18_000),
            run("tasks-readiness", 1, 6000),
        ];
        let missing = Missing { name: "futures", case: Case::Sleeps, reason: "it has no timers".into() };
        Outcome { runs, missing: vec![missing] }
    }

    fn ready() -> Vec<Ready> {
        ALL.into_iter().map(|contestant| Ready { contestant, path: "none".into() }).collect()
    }

    #[test]
    fn ours_is_divided_by_the_best_other_of_the_same_round() {
        let row = (Case::Sleeps.plan(), Clock::Cpu);
        assert_eq!(best(&outcome(), row, &ALL), Some("tokio"));
        let found = ratio(&outcome(), Case::Sleeps, Clock::Cpu, "tasks-readiness", "tokio");
        assert_eq!(found, Some(Estimate { median: 1.5, low: 1.5, high: 1.5 }));
    }

    #[test]
    fn the_table_has_both_clocks_and_names_who_is_missing() {
        let text = markdown(&outcome(), &[Case::Sleeps.plan()], &ready(), &[]);
        assert!(text.contains("| 450 ±33 % | – |") && text.contains("| 300 ±33 % | 1350 ±33 % |"), "{text}");
        assert!(text.contains("| 100 000 sleeps within a second (tokio) |"), "{text}");
        assert!(text.contains("1.50 (1.50 to 1.50)"), "{text}");
        assert!(text.contains("second, on the wall |"), "{text}");
        assert!(
            text.contains("Missing: futures: 100 000 sleeps within a second: it has no timers"),
            "{text}"
        );
    }

    #[test]
    fn the_document_has_every_run() {
        let found = document(&outcome(), &[Case::Sleeps.plan()], &ready(), &[]);
        assert_eq!(found["runs"].as_array().unwrap().len(), 6);
        assert_eq!(found["cases"][0]["best_other"], "tokio");
        assert_eq!(found["cases"][1]["clock"], "wall");
        assert_eq!(found["missing"][0]["name"], "futures");
    }
}
