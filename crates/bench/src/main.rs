//! Runs the benchmarks: `cargo run --release -p marline-bench -- help`.
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use marline_bench::contestant::{LeftOut, Ready};
use marline_bench::cores::{Cores, GoFirst};
use marline_bench::options::{HELP, Mode, Options};
use marline_bench::rounds::Outcome;
use marline_bench::workload::{self, Workload};
use marline_bench::{calls, counts, million, prepare, rounds, table, tls_counts};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("marline-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> marline::Result<()> {
    let options = Options::parse(lexopt::Parser::from_env())?;
    if options.mode == Mode::Help {
        print!("{HELP}");
        return Ok(());
    }
    if cfg!(debug_assertions) {
        return Err("numbers of a debug build mean nothing; add --release".into());
    }
    let cores = Cores::choose(options.spin)?;
    if !cores.are_two() {
        eprintln!("there is one core only: clients and servers share it");
    }
    let load = prepare::load()?;
    let (ready, left_out) = prepare::all(&options.contestants, cores);
    for LeftOut { name, reason } in &left_out {
        println!("Left out: {name}: {reason}");
    }
    let first = options.goes_first().then(GoFirst::begin);
    if let Some(Err(error)) = &first {
        eprintln!("other processes may get in the way: {error}");
    }
    let bench = Bench { options, cores, load, ready, left_out };
    match bench.options.mode {
        Mode::Quick => bench.compare("quick", &workload::quick(bench.options.effort)),
        Mode::Full => bench.compare("full", &workload::full(bench.options.effort)),
        Mode::Tls => {
            bench.compare("tls", &workload::tls(bench.options.effort))?;
            println!("\n{}", tls_counts::table(&bench.ready, &bench.load, bench.cores));
            Ok(())
        }
        Mode::TlsCounts => {
            println!("{}", tls_counts::table(&bench.ready, &bench.load, bench.cores));
            Ok(())
        }
        Mode::Churn => bench.compare("churn", &[bench.churn()]),
        Mode::Million => bench.million(),
        Mode::Calls => {
            println!("{}", calls::table(&bench.ready, &bench.load, bench.cores));
            Ok(())
        }
        Mode::Counts => bench.counts(),
        Mode::Help => Ok(()),
    }
}

struct Bench {
    options: Options,
    cores: Cores,
    load: PathBuf,
    ready: Vec<Ready>,
    left_out: Vec<LeftOut>,
}

impl Bench {
    fn churn(&self) -> Workload {
        let Options { close, connections, requests, .. } = self.options;
        Workload::churn(close, connections, requests)
    }

    fn compare(&self, mode: &str, workloads: &[Workload]) -> marline::Result<()> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        let wanted = |workload: &&Workload| self.options.size.is_none_or(|size| workload.size == size);
        for workload in workloads.iter().filter(wanted) {
            let outcome = rounds::run(&self.ready, *workload, self.options.rounds, &self.load, self.cores);
            println!("\n{}", table::markdown(&outcome, &self.ready));
            outcomes.push(outcome);
            // Written after each workload, so that a run that is broken off leaves what it has.
            self.write(mode, &outcomes)?;
        }
        Ok(())
    }

    fn write(&self, mode: &str, outcomes: &[Outcome]) -> marline::Result<()> {
        let document = table::document(mode, outcomes, &self.ready, &self.left_out);
        let path = match (&self.options.json, self.load.parent().and_then(Path::parent)) {
            (Some(path), _) => path.clone(),
            (None, Some(target)) => target.join("bench").join(format!("{mode}.json")),
            (None, None) => return Ok(()),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, serde_json::to_string_pretty(&document)?)?;
        eprintln!("wrote {}", path.display());
        Ok(())
    }

    fn counts(&self) -> marline::Result<()> {
        let mut all = Vec::new();
        for ready in &self.ready {
            eprintln!("{}: counting", ready.contestant.name);
            all.push(counts::count(ready, &self.load, self.cores));
        }
        println!("{}", counts::markdown(&all));
        Ok(())
    }

    fn million(&self) -> marline::Result<()> {
        let mut failed = Vec::new();
        for ready in &self.ready {
            if let Err(reason) = million::run(ready, self.churn(), &self.load, self.cores) {
                failed.push(format!("{}: {reason}", ready.contestant.name));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
    }
}
