//! Runs the benchmarks: `cargo run --release -p marline-bench -- help`.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use marline_bench::contestant::{LeftOut, Ready};
use marline_bench::cores::{Cores, GoFirst};
use marline_bench::document::{self, Document, Left, Place};
use marline_bench::machine::Made;
use marline_bench::options::{HELP, Mode, Options};
use marline_bench::progress::Progress;
use marline_bench::rounds::Rounds;
use marline_bench::workload::{self, Workload};
use marline_bench::{calls, counts, idle, micro, million, prepare, render, rounds, soak, table, tls_counts};

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
    if let Some(done) = micro::command::run_if_named() {
        return done;
    }
    let options = Options::parse(lexopt::Parser::from_env())?;
    if options.mode == Mode::Help {
        print!("{HELP}");
        return Ok(());
    }
    if options.mode == Mode::Render {
        return render_again(&options);
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
    let effort = bench.options.effort;
    match bench.options.mode {
        Mode::Quick => bench.quick(),
        Mode::Group => bench.group(),
        Mode::Full => bench.compare("full", &workload::full(effort)),
        Mode::Latency => bench.compare("latency", &[Workload::latency(1000, effort)]),
        Mode::Tls => bench.compare("tls", &workload::tls(effort)).and_then(|()| bench.tls_counts()),
        Mode::TlsCounts => bench.tls_counts(),
        Mode::Churn => bench.compare("churn", &[bench.churn()]),
        Mode::Million => bench.million(),
        Mode::Soak => bench.soak(),
        Mode::Calls => bench.calls(),
        Mode::Idle => bench.idle(),
        Mode::Counts => bench.counts(),
        Mode::Render | Mode::Help => Ok(()),
    }
}

struct Bench {
    options: Options,
    cores: Cores,
    load: PathBuf,
    ready: Vec<Ready>,
    left_out: Vec<LeftOut>,
}

/// How long `quick` measures. Starting the servers once, and the last round, come on top; together less than two minutes.
const QUICK: Duration = Duration::from_secs(85);
/// How much of the usual number of requests `quick` makes.
const QUICK_EFFORT: f64 = 0.1;
/// How many rounds there are at least, however little time there is.
const LEAST_ROUNDS: usize = 2;

impl Bench {
    fn churn(&self) -> Workload {
        let Options { close, connections, requests, .. } = self.options;
        Workload::churn(close, connections, requests)
    }

    fn quick(&self) -> marline::Result<()> {
        let workloads = workload::quick(QUICK_EFFORT * self.options.effort);
        self.run("quick", &workloads, Some(Instant::now() + QUICK), self.cores).map(drop)
    }

    fn compare(&self, mode: &str, workloads: &[Workload]) -> marline::Result<()> {
        self.run(mode, workloads, self.until(), self.cores).map(drop)
    }

    fn until(&self) -> Option<Instant> {
        self.options.minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes))
    }

    /// With a deadline, each workload gets its share of the time that is left, for as many rounds as fit.
    fn run(
        &self,
        mode: &str,
        workloads: &[Workload],
        deadline: Option<Instant>,
        cores: Cores,
    ) -> marline::Result<Document> {
        let begun = Instant::now();
        let wanted = |workload: &&Workload| self.options.size.is_none_or(|size| workload.size == size);
        let workloads: Vec<&Workload> = workloads.iter().filter(wanted).collect();
        let progress = Progress::new(workloads.len() * self.options.rounds);
        let mut document = Document::new(mode, &self.ready, &self.left_out);
        for (index, workload) in workloads.iter().enumerate() {
            let now = Instant::now();
            let left = (workloads.len() - index) as u32;
            let until = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / left);
            let most = self.options.rounds;
            let rounds =
                Rounds { least: if until.is_some() { LEAST_ROUNDS.min(most) } else { most }, most, until };
            let outcome = rounds::run(&self.ready, **workload, rounds, &self.load, cores, &progress);
            progress.reach((index + 1) * most);
            progress.aside(|| println!("\n{}", table::markdown(&outcome, &document.contestants)));
            document.add(outcome);
            document.seconds = begun.elapsed().as_secs_f64();
            // Written after each workload, so that a run that is broken off leaves what it has.
            progress.aside(|| self.write(&document))?;
        }
        drop(progress);
        println!("took {:.0} s", begun.elapsed().as_secs_f64());
        Ok(document)
    }

    fn write(&self, document: &Document) -> marline::Result<()> {
        let folder = self.options.folder(&document.mode, &self.load);
        document.write(&self.results(&folder))?;
        render::write(document, &folder)
    }

    /// The file of results, if it is to be in this folder where nothing else is said.
    fn results(&self, folder: &Path) -> PathBuf {
        self.options.json.clone().unwrap_or_else(|| folder.join("results.json"))
    }

    /// Its results are of a shape of their own, with no plot.
    fn idle(&self) -> marline::Result<()> {
        let Options { connections, rounds, .. } = self.options;
        let found = idle::run(&self.ready, connections, rounds, self.cores)?;
        println!("\n{}", idle::markdown(&found));
        let path = self.results(&self.options.folder("idle", &self.load));
        document::write_json(&path, &idle::document(&found, &self.left_out))?;
        eprintln!("wrote {}", path.display());
        Ok(())
    }

    /// Groups are timed, and counted too: what they have in common would show in calls that wait for it.
    fn group(&self) -> marline::Result<()> {
        let workloads = workload::group(self.options.effort);
        self.count(self.run("group", &workloads, self.until(), self.cores.with_all_clients())?)
    }

    fn counts(&self) -> marline::Result<()> {
        self.count(Document::new("counts", &self.ready, &self.left_out))
    }

    fn count(&self, mut document: Document) -> marline::Result<()> {
        let progress = Progress::new(self.ready.len());
        for ready in &self.ready {
            progress.now(ready.contestant.name.to_owned());
            document.counts.push(counts::count(ready, &self.load, self.cores, self.options.stepped));
            progress.step(1);
            // It takes minutes for some, and what is there should not be lost if the run is broken off.
            progress.aside(|| self.write(&document))?;
        }
        drop(progress);
        println!("{}", counts::markdown(&document.counts));
        Ok(())
    }

    fn tls_counts(&self) -> marline::Result<()> {
        let rows = tls_counts::rows(&self.ready, &self.load, self.cores);
        self.write_rows("tls-counts", &rows, &tls_counts::markdown(&rows))
    }

    fn calls(&self) -> marline::Result<()> {
        let rows = calls::rows(&self.ready, &self.load, self.cores);
        self.write_rows("calls", &rows, &calls::markdown(&rows))
    }

    fn soak(&self) -> marline::Result<()> {
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for ready in &self.ready {
            let outcome = soak::run(ready, self.options.seconds, &self.load, self.cores);
            let reason = outcome.as_ref().map_or_else(|reason| Some(reason.clone()), soak::Found::failure);
            failed.extend(reason.map(|reason| format!("{}: {reason}", ready.contestant.name)));
            found.extend(outcome);
        }
        let table: String = found.iter().map(|found| found.markdown() + "\n").collect();
        self.write_rows("soak", &found, &table)?;
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
    }

    fn million(&self) -> marline::Result<()> {
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for ready in &self.ready {
            let outcome = million::run(ready, self.churn(), &self.load, self.cores);
            let reason = outcome.as_ref().map_or_else(|reason| Some(reason.clone()), |it| it.failure.clone());
            failed.extend(reason.map(|reason| format!("{}: {reason}", ready.contestant.name)));
            found.extend(outcome);
        }
        self.write_rows("million", &found, &million::markdown(&found))?;
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
    }

    /// Prints and writes results of a shape of their own, with a table and no plot.
    fn write_rows(&self, mode: &str, rows: &impl Serialize, table: &str) -> marline::Result<()> {
        println!("\n{table}");
        let (folder, made) = (self.options.folder(mode, &self.load), Made::now());
        let left_out: Vec<Left> = self.left_out.iter().map(Left::from).collect();
        let all = json!({ "mode": mode, "made": made, "rows": rows, "left_out": left_out });
        let place = Place::new(&folder, mode, self.options.json.as_deref());
        place.write(&all, &format!("{table}\n{}", made.markdown()))
    }
}

/// Makes the tables and plots of a file again.
fn render_again(options: &Options) -> marline::Result<()> {
    let path = options.file.as_deref().ok_or("render wants a file: render FILE.json")?;
    let document = Document::read(path)?;
    let folder = match options.docs {
        true => options.folder(&document.mode, path),
        false => path.parent().unwrap_or(Path::new(".")).to_owned(),
    };
    render::write(&document, &folder)?;
    for record in &document.workloads {
        println!("{}", table::markdown(&record.outcome, &document.contestants));
    }
    eprintln!("wrote {}", folder.display());
    Ok(())
}
