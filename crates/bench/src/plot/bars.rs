//! What a request of one workload cost each contestant: a bar for the median, and a line over its 95 % interval.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{MARGIN, Plot, colour, text};
use crate::cost::Cost;
use crate::document::Entry;
use crate::rounds::Outcome;
use crate::stats::Estimate;
use crate::table::shown;

/// How wide the plot is, and how much of that the names take.
const WIDTH: u32 = 860;
const NAMES: u32 = 190;
/// How high a bar is with the space around it, and how high everything else.
const ROW: u32 = 26;
const REST: u32 = 110;

/// A bar for each contestant that ran, in the order of tables.
///
/// # Errors
///
/// If the plot cannot be drawn.
pub fn plot(outcome: &Outcome, contestants: &[Entry]) -> Plot {
    let cost = if outcome.workload.timed { Cost::Tail } else { Cost::Server };
    let bars: Vec<(&str, Estimate)> = shown(outcome, contestants)
        .into_iter()
        .filter_map(|entry| Some((entry.name.as_str(), cost.estimate(outcome, &entry.name)?)))
        .collect();
    let longest = bars.iter().map(|(_, estimate)| estimate.high).fold(f64::MIN_POSITIVE, f64::max);
    let rows = bars.len() as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, REST + ROW * rows)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(outcome.workload.name(), text(18, HPos::Left, VPos::Top))
            .margin(MARGIN)
            .x_label_area_size(44)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(0.0..longest * 1.05, 0.0..f64::from(rows))?;
        let label =
            if cost == Cost::Tail { "p99.9 of round trips, µs" } else { "processor time, µs per request" };
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(label)
            .draw()?;
        for (index, (name, estimate)) in bars.iter().enumerate() {
            let middle = f64::from(rows) - index as f64 - 0.5;
            let (from, to) = (middle - 0.35, middle + 0.35);
            let style = colour(contestants, name).filled();
            chart.draw_series([Rectangle::new([(0.0, from), (estimate.median, to)], style)])?;
            // White below the black shows it on dark bars too.
            for (colour, width) in [(WHITE, 3), (BLACK, 1)] {
                let stroke = colour.stroke_width(width);
                chart.draw_series(interval(estimate, middle).map(|line| PathElement::new(line, stroke)))?;
            }
            let place = chart.plotting_area().map_coordinate(&(0.0, middle));
            root.draw(&Text::new(*name, (place.0 - 6, place.1), text(14, HPos::Right, VPos::Center)))?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// The interval, and a stroke at each end.
fn interval(estimate: &Estimate, middle: f64) -> [Vec<(f64, f64)>; 3] {
    let Estimate { low, high, .. } = *estimate;
    let end = |at| vec![(at, middle - 0.15), (at, middle + 0.15)];
    [vec![(low, middle), (high, middle)], end(low), end(high)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::{example, example_contestants};

    #[test]
    fn there_is_a_bar_with_an_interval_for_each_who_ran() {
        let contestants = example_contestants();
        let svg = plot(&example(), &contestants).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for (name, bars) in [("tokio", 1), ("async-readiness", 1), ("monoio", 0)] {
            let RGBColor(red, green, blue) = colour(&contestants, name);
            let fill = format!("fill=\"#{red:02X}{green:02X}{blue:02X}\"");
            let found = svg.split("<rect").skip(1).filter(|rect| rect.contains(&fill)).count();
            assert_eq!(found, bars, "{name}: {svg}");
            assert_eq!(svg.contains(name), bars == 1);
        }
        // The background is one more.
        assert_eq!(svg.matches("<rect").count(), 3);
    }
}
