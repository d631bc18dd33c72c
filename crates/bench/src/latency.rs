//! How long requests took, one by one, as a table.

use std::fmt::Write;

use crate::cost::{Cost, compare};
use crate::document::Entry;
use crate::load::Latency;
use crate::rounds::Outcome;
use crate::stats::median;
use crate::table::cell;

/// A row for each contestant: medians over the rounds, and the slowest thousandth divided by that of each floor.
#[must_use]
pub fn markdown(outcome: &Outcome, shown: &[&Entry]) -> String {
    let floors: Vec<&&Entry> = shown.iter().filter(|entry| entry.floor).collect();
    let names: Vec<String> = floors.iter().map(|floor| format!(" p99.9 to {} |", floor.name)).collect();
    let rule = "---:|".repeat(floors.len());
    let mut text = format!("\n| round trips, µs | p50 | p99 | p99.9 | max |{}\n", names.concat());
    let _ = writeln!(text, "|---|---:|---:|---:|---:|{rule}");
    for Entry { name, .. } in shown {
        let of = |part: &dyn Fn(Latency) -> u64| {
            let runs = outcome.runs.iter().filter(|run| run.name == *name);
            let found =
                runs.filter_map(|run| run.report.latency).map(|latency| part(latency) as f64 / 1000.0);
            median(&found.collect::<Vec<_>>())
        };
        let row = [of(&|it| it.p50), of(&|it| it.p99), of(&|it| it.p999), of(&|it| it.max)];
        if let [Some(p50), Some(p99), Some(p999), Some(max)] = row {
            let _ = write!(text, "| {name} | {p50:.0} | {p99:.0} | {p999:.0} | {max:.0} |");
            for floor in &floors {
                let ratio = compare(outcome, name, &floor.name, Cost::Tail);
                let _ = write!(text, " {} |", ratio.map_or(String::new(), cell));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::{example, example_contestants};
    use crate::table::shown;

    #[test]
    fn the_slowest_thousandth_is_divided_by_that_of_the_floor_in_the_same_round() {
        let mut outcome = example();
        for run in &mut outcome.runs {
            let p999 = run.report.server;
            run.report.latency = Some(Latency { p50: 1000, p99: 2000, p999, max: 90_000 });
            if run.name == "tokio" {
                run.name = "floor-epoll".to_owned();
            }
        }
        let contestants = example_contestants();
        let text = markdown(&outcome, &shown(&outcome, &contestants));
        assert!(text.contains("| async-readiness | 1 | 2 | 45 | 90 | 1.50 (1.50 to 1.50) above |"), "{text}");
    }
}
