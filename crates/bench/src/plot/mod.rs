//! Plots, in SVG, from what was measured.
//!
//! - [`bars`]: what a request of one workload cost each contestant.
//! - [`curves`]: what it cost against the number of connections, and against the size of messages.

pub mod bars;
pub mod curves;

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{RGBColor, full_palette};

use crate::document::Entry;

/// The font of all text. Whoever shows the plot has one by this name.
const FONT: &str = "sans-serif";
/// The margin around everything, in pixels.
const MARGIN: i32 = 12;

/// A plot: the text of an SVG file.
pub type Plot = Result<String, Box<dyn Error + Send + Sync>>;

/// What floors look like.
const FLOORS: [RGBColor; 2] = [RGBColor(60, 60, 60), RGBColor(140, 140, 140)];
/// What ours look like.
const OURS: [RGBColor; 4] =
    [full_palette::RED_700, full_palette::ORANGE_700, full_palette::BLUE_700, full_palette::CYAN_700];
/// What others look like.
const OTHERS: [RGBColor; 12] = [
    full_palette::GREEN_700,
    full_palette::PURPLE_400,
    full_palette::BROWN_400,
    full_palette::PINK_300,
    full_palette::LIME_800,
    full_palette::INDIGO_300,
    full_palette::TEAL_600,
    full_palette::AMBER_600,
    full_palette::DEEPPURPLE_200,
    full_palette::LIGHTGREEN_600,
    full_palette::BLUEGREY_400,
    full_palette::YELLOW_800,
];

/// A contestant's colour: the same in all plots of a file, whoever is left out of one.
fn colour(contestants: &[Entry], name: &str) -> RGBColor {
    let group = |entry: &Entry| (entry.ours, entry.floor);
    let Some(own) = contestants.iter().find(|entry| entry.name == name) else { return FLOORS[0] };
    let mut alike = contestants.iter().filter(|entry| group(entry) == group(own));
    let place = alike.position(|entry| entry.name == name).unwrap_or(0);
    let palette: &[RGBColor] = match group(own) {
        (true, _) => &OURS,
        (_, true) => &FLOORS,
        _ => &OTHERS,
    };
    palette[place % palette.len()]
}

/// Text of this size, in black, placed by this point of it.
fn text(size: i32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&BLACK).pos(Pos::new(horizontal, vertical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::example_contestants;

    #[test]
    fn no_two_of_the_same_plot_look_alike() {
        let contestants = example_contestants();
        for (index, one) in contestants.iter().enumerate() {
            for other in &contestants[index + 1..] {
                assert_ne!(colour(&contestants, &one.name), colour(&contestants, &other.name), "{one:?}");
            }
        }
    }
}
