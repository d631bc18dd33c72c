//! What an echo cost against the number of connections, for each size of messages, and against the size of messages, for each
//! number of connections: a line for each contestant.

use std::collections::BTreeSet;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{MARGIN, Plot, colour, text};
use crate::cost::Cost;
use crate::document::{Document, Entry};
use crate::load::Kind;
use crate::rounds::Outcome;

const WIDTH: u32 = 860;
const HEIGHT: u32 = 520;
/// How much of the width the names take, and how much of the height one of them.
const NAMES: i32 = 210;
const ROW: i32 = 22;

/// What is along the axis below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// How many connections there are.
    Connections,
    /// How many bytes a message has.
    Size,
}

/// A plot with what a file of it may be called.
#[derive(Debug)]
pub struct Named {
    /// Without its ending.
    pub name: String,
    /// The text of the file.
    pub svg: String,
}

/// A contestant's name, and its points.
type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// Every plot for which there are two points or more.
///
/// # Errors
///
/// If a plot cannot be drawn.
pub fn plots(document: &Document) -> Result<Vec<Named>, Box<dyn std::error::Error + Send + Sync>> {
    let echo: Vec<&Outcome> = document
        .workloads
        .iter()
        .map(|record| &record.outcome)
        .filter(|outcome| is_plain_echo(outcome))
        .collect();
    let mut plots = Vec::new();
    for against in [Against::Connections, Against::Size] {
        let fixed: BTreeSet<usize> = echo.iter().map(|outcome| against.fixed(outcome)).collect();
        for value in fixed {
            let some: Vec<&Outcome> =
                echo.iter().filter(|outcome| against.fixed(outcome) == value).copied().collect();
            if some.len() > 1 {
                let svg = plot(&some, against, value, &document.contestants)?;
                plots.push(Named { name: against.file_name(value), svg });
            }
        }
    }
    Ok(plots)
}

fn is_plain_echo(outcome: &Outcome) -> bool {
    let workload = outcome.workload;
    workload.kind == Kind::Echo && workload.depth == 1 && !workload.timed
}

impl Against {
    /// Where on the axis a workload is.
    fn place(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Connections => outcome.workload.connections as f64,
            Self::Size => outcome.workload.size as f64,
        }
    }

    /// What is the same for a whole plot.
    fn fixed(self, outcome: &Outcome) -> usize {
        match self {
            Self::Connections => outcome.workload.size,
            Self::Size => outcome.workload.connections,
        }
    }

    fn file_name(self, fixed: usize) -> String {
        match self {
            Self::Connections => format!("cost-against-connections-{fixed}-b"),
            Self::Size => format!("cost-against-size-{fixed}-at-a-time"),
        }
    }

    fn caption(self, fixed: usize) -> String {
        match self {
            Self::Connections => format!("echo of {fixed} bytes"),
            Self::Size => format!("echo, {fixed} at a time"),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Size => "bytes of a message",
        }
    }
}

fn plot(some: &[&Outcome], against: Against, fixed: usize, contestants: &[Entry]) -> Plot {
    let curves: Vec<Curve<'_>> = contestants
        .iter()
        .map(|entry| (entry.name.as_str(), points(some, against, &entry.name)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points.iter().copied());
    let (x, y) = (around(all().map(|(x, _)| x)), around(all().map(|(_, y)| y)));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(WIDTH as i32 - NAMES);
        let mut chart = ChartBuilder::on(&left)
            .caption(against.caption(fixed), text(18, HPos::Left, VPos::Top))
            .margin(MARGIN)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(x.log_scale(), y.log_scale())?;
        let (below, beside) = (against.label(), "processor time, µs per request");
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_label_formatter(&|number| format!("{number:.0}"))
            .x_desc(below)
            .y_desc(beside)
            .draw()?;
        for (index, (name, points)) in curves.iter().enumerate() {
            let width = if contestants.iter().any(|entry| entry.ours && entry.name == *name) { 3 } else { 1 };
            let style = colour(contestants, name).stroke_width(width);
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            let fill = colour(contestants, name).filled();
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, fill)))?;
            let height = 50 + ROW * index as i32;
            right.draw(&PathElement::new([(4, height), (28, height)], style))?;
            right.draw(&Text::new(*name, (34, height), text(14, HPos::Left, VPos::Center)))?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn points(some: &[&Outcome], against: Against, name: &str) -> Vec<(f64, f64)> {
    let point = |outcome: &&Outcome| {
        Some((against.place(outcome), Cost::Server.estimate(outcome, name)?.median)).filter(|(_, y)| *y > 0.0)
    };
    let mut points: Vec<(f64, f64)> = some.iter().filter_map(point).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// From a little below all of them to a little above.
fn around(numbers: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) =
        numbers.fold((f64::MAX, 0.0), |(low, high), number| (number.min(low), number.max(high)));
    if low > high { 1.0..10.0 } else { low * 0.8..high * 1.25 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::{example, example_contestants};
    use crate::workload::Workload;

    #[test]
    fn there_is_a_line_for_each_who_ran_in_each_plot_that_has_two_points() {
        let mut document = Document::new("example", &[], &[]);
        document.contestants = example_contestants();
        for (size, connections) in [(64, 1), (64, 1000), (1024, 1), (1024, 64)] {
            document.add(Outcome { workload: Workload::echo(size, connections, 1.0), ..example() });
        }
        document.add(Outcome { workload: Workload::pipelined(16, 1.0), ..example() });
        let plots = plots(&document).unwrap();
        let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "cost-against-connections-64-b",
                "cost-against-connections-1024-b",
                "cost-against-size-1-at-a-time",
            ]
        );
        for plot in plots {
            // Two points of each of the two who ran.
            assert_eq!(plot.svg.matches("<circle").count(), 4, "{}", plot.svg);
            assert!(plot.svg.contains("tokio") && !plot.svg.contains("monoio"));
        }
    }
}
