//! What is printed and written.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contestant::{Contestant, LeftOut, Ready};
use crate::rounds::{Outcome, Run};
use crate::stats::{Estimate, estimate, median};

/// The ratio of ours to another's that is still good: the lower end of its interval may be as high as this.
pub const GOAL: f64 = 1.10;

/// What a request cost, by one way to measure.
#[derive(Clone, Copy)]
enum Cost {
    /// The processor time of the server.
    Server,
    /// As much of that as was in its own code.
    User,
    /// The time on the wall.
    Wall,
}

impl Cost {
    /// In microseconds for each request.
    fn of(self, run: &Run) -> f64 {
        let total = match self {
            Self::Server => run.report.server,
            Self::User => run.report.server_user,
            Self::Wall => run.report.wall,
        };
        total as f64 / run.report.requests as f64 / 1000.0
    }
}

/// The tables of one workload, in Markdown: what each contestant cost, and ours divided by each other.
#[must_use]
pub fn markdown(outcome: &Outcome, ready: &[Ready]) -> String {
    let shown = shown(outcome, ready);
    let mut text = format!("### {}\n\n", outcome.workload.name());
    text += "| | server, µs | own code, µs | wall, µs | server busy | clients busy |\n|---|---:|---:|---:|---:|---:|\n";
    for contestant in &shown {
        let runs: Vec<&Run> = outcome.runs.iter().filter(|run| run.name == contestant.name).collect();
        let middle = |of: &dyn Fn(&Run) -> f64| median(&runs.iter().map(|run| of(run)).collect::<Vec<_>>());
        let row = [
            middle(&|run| Cost::Server.of(run)),
            middle(&|run| Cost::User.of(run)),
            middle(&|run| Cost::Wall.of(run)),
            middle(&|run| 100.0 * run.report.server as f64 / run.report.wall as f64),
            middle(&|run| 100.0 * run.report.load as f64 / run.report.wall as f64),
        ];
        if let [Some(server), Some(user), Some(wall), Some(busy), Some(load)] = row {
            let name = contestant.name;
            let _ = writeln!(
                text,
                "| {name} | {server:.2} | {user:.2} | {wall:.2} | {busy:.0} % | {load:.0} % |"
            );
        }
    }
    text += &ratios(outcome, &shown, Cost::Server, "server time");
    if outcome.workload.tls_resumes.is_some() {
        text += &ratios(outcome, &shown, Cost::Wall, "wall time");
    }
    for LeftOut { name, reason } in &outcome.left_out {
        let _ = writeln!(text, "\nLeft out here: {name}: {reason}");
    }
    text
}

/// A row for each contestant, with a column for each of ours: the cost of ours divided by its.
fn ratios(outcome: &Outcome, shown: &[Contestant], cost: Cost, name: &str) -> String {
    let ours: Vec<&Contestant> = shown.iter().filter(|contestant| contestant.is_ours()).collect();
    if ours.is_empty() {
        return String::new();
    }
    let mut text = format!("\n| {name}, divided by that of |{}", columns(&ours));
    for other in shown {
        let _ = write!(text, "\n| {} |", other.name);
        for own in &ours {
            let cell = compare(outcome, own.name, other.name, cost).map_or(String::new(), cell);
            let _ = write!(text, " {cell} |");
        }
    }
    text + "\n"
}

fn columns(ours: &[&Contestant]) -> String {
    let names: Vec<String> = ours.iter().map(|contestant| format!(" {} |", contestant.name)).collect();
    format!("{}\n|---|{}", names.concat(), "---:|".repeat(ours.len()))
}

fn cell(ratio: Estimate) -> String {
    let Estimate { median, low, high } = ratio;
    let mark = if low > GOAL { " above" } else { "" };
    format!("{median:.2} ({low:.2} to {high:.2}){mark}")
}

/// The ratio of two contestants, each round by itself.
fn compare(outcome: &Outcome, own: &str, other: &str, cost: Cost) -> Option<Estimate> {
    if own == other {
        return None;
    }
    let in_round =
        |name: &str, round: usize| outcome.runs.iter().find(|run| run.name == name && run.round == round);
    let ratios: Vec<f64> = (outcome.runs.iter().filter(|run| run.name == own))
        .filter_map(|run| Some(cost.of(run) / cost.of(in_round(other, run.round)?)))
        .collect();
    estimate(&ratios)
}

/// Those that ran to the end, in the order of all tables.
fn shown(outcome: &Outcome, ready: &[Ready]) -> Vec<Contestant> {
    let ran = |name: &str| outcome.runs.iter().any(|run| run.name == name);
    ready.iter().map(|ready| ready.contestant).filter(|contestant| ran(contestant.name)).collect()
}

/// Everything that was measured, and every ratio.
#[must_use]
pub fn document(mode: &str, outcomes: &[Outcome], ready: &[Ready], left_out: &[LeftOut]) -> Value {
    let reasons = |list: &[LeftOut]| -> Vec<Value> {
        list.iter().map(|left| json!({ "name": left.name, "reason": left.reason })).collect()
    };
    let workloads: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "workload": outcome.workload.name(),
                "size": outcome.workload.size,
                "connections": outcome.workload.connections,
                "runs": outcome.runs.iter().map(run_value).collect::<Vec<_>>(),
                "ratios": ratio_values(outcome, &shown(outcome, ready)),
                "left_out": reasons(&outcome.left_out),
            })
        })
        .collect();
    json!({ "mode": mode, "goal": GOAL, "workloads": workloads, "left_out": reasons(left_out) })
}

fn run_value(run: &Run) -> Value {
    json!({
        "name": run.name,
        "round": run.round,
        "requests": run.report.requests,
        "server_ns": run.report.server,
        "server_user_ns": run.report.server_user,
        "load_ns": run.report.load,
        "wall_ns": run.report.wall,
        "switches": run.report.switches,
    })
}

fn ratio_values(outcome: &Outcome, shown: &[Contestant]) -> Vec<Value> {
    let mut values = Vec::new();
    for own in shown.iter().filter(|contestant| contestant.is_ours()) {
        for other in shown {
            for (what, cost) in [("server", Cost::Server), ("user", Cost::User), ("wall", Cost::Wall)] {
                values.extend(compare(outcome, own.name, other.name, cost).map(|ratio| {
                    json!({
                        "ours": own.name,
                        "other": other.name,
                        "of": what,
                        "median": ratio.median,
                        "low": ratio.low,
                        "high": ratio.high,
                        "reached": ratio.low <= GOAL,
                    })
                }));
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Report;
    use crate::workload::Workload;

    fn outcome() -> Outcome {
        let run = |name, round, server| {
            let report = Report {
                requests: 10,
                server,
                server_user: server / 2,
                load: 1,
                wall: 2 * server,
                switches: 0,
            };
            Run { name, round, report }
        };
        // The machine is twice as slow in the second round; the ratio is the same in both.
        let runs = vec![
            run("async-readiness", 0, 30_000),
            run("tokio", 0, 20_000),
            run("tokio", 1, 40_000),
            run("async-readiness", 1, 60_000),
        ];
        Outcome { workload: Workload::echo(64, 1, 1.0), runs, left_out: Vec::new() }
    }

    fn ready() -> Vec<Ready> {
        let all = crate::contestant::ALL.into_iter();
        all.map(|contestant| Ready { contestant, path: "none".into() }).collect()
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ratio = compare(&outcome(), "async-readiness", "tokio", Cost::Server);
        assert_eq!(ratio, Some(Estimate { median: 1.5, low: 1.5, high: 1.5 }));
        assert_eq!(compare(&outcome(), "tokio", "tokio", Cost::Server), None);
    }

    #[test]
    fn the_table_names_who_ran_and_marks_what_is_above_the_goal() {
        let text = markdown(&outcome(), &ready());
        assert!(text.contains("| tokio | 3.00 | 1.50 | 6.00 | 50 % |"), "{text}");
        assert!(text.contains("| tokio | 1.50 (1.50 to 1.50) above |"), "{text}");
        assert!(!text.contains("monoio"), "{text}");
    }

    #[test]
    fn the_document_has_every_run_and_says_whether_the_goal_is_reached() {
        let found = document("quick", &[outcome()], &ready(), &[]);
        assert_eq!(found["workloads"][0]["runs"].as_array().unwrap().len(), 4);
        let ratio = &found["workloads"][0]["ratios"][0];
        assert_eq!((&ratio["other"], &ratio["reached"]), (&json!("tokio"), &json!(false)));
    }
}
