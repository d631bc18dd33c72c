//! What is printed: tables, in Markdown.

use std::fmt::Write;

use crate::cost::{Cost, GOAL, compare};
use crate::document::{Entry, Left};
use crate::latency;
use crate::rounds::{Outcome, Run};
use crate::stats::{Estimate, median};

/// Said below the tables of groups that had no cores for themselves.
const SHARED: &str = "\nA group and its clients shared the same cores, of which one loop has one for itself and its clients the \
                      other: wall times say what the machine can do, and not what a group could with cores left to clients.\n";

/// The tables of one workload: what each contestant cost, and ours divided by each other.
#[must_use]
pub fn markdown(outcome: &Outcome, contestants: &[Entry]) -> String {
    let shown = shown(outcome, contestants);
    let mut text = format!("### {}\n\n", outcome.workload.name());
    text += &costs(outcome, &shown);
    text += &ratios(outcome, &shown, Cost::Server, "server time");
    if outcome.workload.tls_resumes.is_some() || outcome.workload.wide {
        text += &ratios(outcome, &shown, Cost::Wall, "wall time");
    }
    if outcome.workload.timed {
        text += &latency::markdown(outcome, &shown);
    }
    if outcome.shared {
        text += SHARED;
    }
    for Left { name, reason } in &outcome.left_out {
        let _ = writeln!(text, "\nLeft out here: {name}: {reason}");
    }
    text
}

fn costs(outcome: &Outcome, shown: &[&Entry]) -> String {
    let mut text =
        String::from("| | server, µs | own code, µs | wall, µs | server busy | clients busy | switches |\n");
    text += "|---|---:|---:|---:|---:|---:|---:|\n";
    for Entry { name, .. } in shown {
        let runs: Vec<&Run> = outcome.runs.iter().filter(|run| run.name == *name).collect();
        let middle = |of: &dyn Fn(&Run) -> Option<f64>| {
            median(&runs.iter().filter_map(|run| of(run)).collect::<Vec<_>>())
        };
        let row = [
            middle(&|run| Cost::Server.of(run)),
            middle(&|run| Cost::User.of(run)),
            middle(&|run| Cost::Wall.of(run)),
            middle(&|run| Some(100.0 * run.report.server as f64 / run.report.wall as f64)),
            middle(&|run| Some(100.0 * run.report.load as f64 / run.report.wall as f64)),
            middle(&|run| Some(run.report.switches as f64 / run.report.requests as f64)),
        ];
        if let [Some(server), Some(user), Some(wall), Some(busy), Some(load), Some(switches)] = row {
            let _ = writeln!(
                text,
                "| {name} | {server:.2} | {user:.2} | {wall:.2} | {busy:.0} % | {load:.0} % | {switches:.3} |"
            );
        }
    }
    text
}

/// A row for each contestant, with a column for each of ours: the cost of ours divided by its.
fn ratios(outcome: &Outcome, shown: &[&Entry], cost: Cost, name: &str) -> String {
    let ours: Vec<&&Entry> = shown.iter().filter(|entry| entry.ours).collect();
    if ours.is_empty() {
        return String::new();
    }
    let names: Vec<String> = ours.iter().map(|entry| format!(" {} |", entry.name)).collect();
    let rule = "---:|".repeat(ours.len());
    let mut text = format!("\n| {name}, divided by that of |{}\n|---|{rule}", names.concat());
    for other in shown {
        let _ = write!(text, "\n| {} |", other.name);
        for own in &ours {
            let cell = compare(outcome, &own.name, &other.name, cost).map_or(String::new(), cell);
            let _ = write!(text, " {cell} |");
        }
    }
    text + "\n"
}

/// A ratio with its interval, marked if it is above the goal.
pub(crate) fn cell(ratio: Estimate) -> String {
    let Estimate { median, low, high } = ratio;
    let mark = if low > GOAL { " above" } else { "" };
    format!("{median:.2} ({low:.2} to {high:.2}){mark}")
}

/// Those that ran to the end, in the order of all tables.
pub(crate) fn shown<'a>(outcome: &Outcome, contestants: &'a [Entry]) -> Vec<&'a Entry> {
    let ran = |name: &str| outcome.runs.iter().any(|run| run.name == name);
    contestants.iter().filter(|entry| ran(&entry.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::{example, example_contestants};

    #[test]
    fn the_table_names_who_ran_and_marks_what_is_above_the_goal() {
        let text = markdown(&example(), &example_contestants());
        assert!(text.contains("| tokio | 3.00 | 1.50 | 6.00 | 50 % |"), "{text}");
        assert!(text.contains("| tokio | 1.50 (1.50 to 1.50) above |"), "{text}");
        assert!(!text.contains("monoio"), "{text}");
    }
}
