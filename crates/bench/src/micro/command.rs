//! The modes `micro` and `micro-counts` of the runner.

use std::path::PathBuf;

use lexopt::prelude::*;
use serde_json::{Value, json};

use super::case::{self, Case, Plan};
use super::contestant::{self, Contestant, Ready};
use super::rounds::Outcome;
use super::{counts, report, rounds};
use crate::contestant::LeftOut;
use crate::cores::{Cores, GoFirst};
use crate::document::Place;
use crate::machine::Made;
use crate::options::folder;

/// What the command line says.
#[derive(Debug)]
struct Options {
    counts: bool,
    contestants: Vec<Contestant>,
    plans: Vec<Plan>,
    rounds: usize,
    effort: f64,
    json: Option<PathBuf>,
    docs: bool,
    made: Made,
}

/// Runs if the first argument names one of these modes.
#[must_use]
pub fn run_if_named() -> Option<Result<(), marline::Error>> {
    let mode = std::env::args().nth(1)?;
    matches!(mode.as_str(), "micro" | "micro-counts").then(run)
}

fn run() -> Result<(), marline::Error> {
    let mut options = Options::parse(lexopt::Parser::from_env())?;
    if cfg!(debug_assertions) {
        return Err("numbers of a debug build mean nothing; add --release".into());
    }
    let cores = Cores::choose(false)?;
    if options.counts {
        // Nothing of theirs can be counted, so they need not be built.
        options.contestants.retain(|contestant| !contestant.is_ring);
    }
    let (ready, left_out) = contestant::prepare(&options.contestants);
    if options.counts {
        let found = counts::run(&ready, &options.plans, cores);
        let table = counts::markdown(&found, &options.plans, &ready);
        println!("{table}");
        return options.write(counts::document(&found), &table);
    }
    options.measure(&ready, &left_out, cores)
}

impl Options {
    fn parse(mut arguments: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self {
            counts: false,
            contestants: contestant::ALL.into(),
            plans: case::ALL.into(),
            rounds: 5,
            effort: 1.0,
            json: None,
            docs: false,
            made: Made::now(),
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Value(mode) => options.counts = mode == "micro-counts",
                Long("only") => options.contestants = arguments.value()?.parse_with(contestants_of)?,
                Long("case") => options.plans = arguments.value()?.parse_with(plans_of)?,
                Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.max(1),
                Long("effort") => options.effort = arguments.value()?.parse()?,
                Long("docs") => options.docs = true,
                Long("json") => options.json = Some(arguments.value()?.into()),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }

    fn measure(&self, ready: &[Ready], left_out: &[LeftOut], cores: Cores) -> Result<(), marline::Error> {
        let first = GoFirst::begin();
        if let Err(error) = &first {
            eprintln!("other processes may get in the way: {error}");
        }
        let outcome = rounds::run(ready, &self.plans, self.rounds, self.effort, cores, |so_far| {
            // Written after each round, so that a run that is broken off leaves what it has.
            if let Err(error) = self.write_outcome(so_far, ready, left_out) {
                eprintln!("{error}");
            }
        });
        println!("{}", report::markdown(&outcome, &self.plans, ready, left_out));
        Ok(())
    }

    fn write_outcome(
        &self,
        so_far: &Outcome,
        ready: &[Ready],
        left_out: &[LeftOut],
    ) -> Result<(), marline::Error> {
        let document = report::document(so_far, &self.plans, ready, left_out);
        self.write(document, &report::markdown(so_far, &self.plans, ready, left_out))
    }

    fn write(&self, mut document: Value, table: &str) -> Result<(), marline::Error> {
        let mode = if self.counts { "micro-counts" } else { "micro" };
        let folder = folder(mode, &std::env::current_exe()?, self.docs);
        document["made"] = json!(self.made);
        let place = Place::new(&folder, mode, self.json.as_deref());
        place.write(&document, &format!("{table}\n{}", self.made.markdown()))
    }
}

fn contestants_of(text: &str) -> Result<Vec<Contestant>, String> {
    let find = |name: &str| contestant::ALL.into_iter().find(|contestant| contestant.name == name);
    let names: Vec<&str> = contestant::ALL.iter().map(|contestant| contestant.name).collect();
    let unknown = |name: &str| format!("there is no contestant {name:?}; there are {}", names.join(", "));
    text.split(',').map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

fn plans_of(text: &str) -> Result<Vec<Plan>, String> {
    let names: Vec<&str> = case::ALL.iter().map(|plan| plan.name).collect();
    let unknown = |name: &str| format!("there is no case {name:?}; there are {}", names.join(", "));
    text.split(',').map(|name| Case::find(name).map(Case::plan).ok_or_else(|| unknown(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, lexopt::Error> {
        Options::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn contestants_and_cases_are_chosen_by_name() {
        let options =
            parse(&["micro-counts", "--only", "tokio,smol", "--case", "wake", "--rounds", "0"]).unwrap();
        assert!(options.counts);
        assert_eq!((options.contestants.len(), options.plans.len(), options.rounds), (2, 1, 1));
        assert_eq!(parse(&["micro"]).unwrap().contestants.len(), contestant::ALL.len());
        assert!(!options.docs && parse(&["micro", "--docs"]).unwrap().docs);
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let error = parse(&["micro", "--case", "none"]).unwrap_err().to_string();
        assert!(error.contains("none") && error.contains("spawn-await"), "{error}");
        assert!(parse(&["micro", "--only", "none"]).is_err());
        assert!(parse(&["micro", "--reset"]).is_err());
    }
}
