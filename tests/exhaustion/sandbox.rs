//! Where io_uring is forbidden, by a filter as sandboxes have them. Each is a process of its own: a filter is for life.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use marline_reactor::backend::completion::{Feature, Options, Uring};
use marline_reactor::backend::{auto, named};
use marline_reactor::{CreateError, Reactor};
use marline_tests::process;
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::alone;
use super::locked::serves;

/// The variable by which a program's user chooses the backend.
const BACKEND: &str = "MARLINE_BACKEND";

/// The calls of io_uring, which have the same numbers on every architecture that the filter knows: `setup`, `enter`, and
/// `register`.
const CALLS: [i64; 3] = [425, 426, 427];

/// From now on this thread's calls of io_uring fail with `error`.
fn forbid(error: Errno) {
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture that the filter knows");
    let number = u32::try_from(error.raw_os_error()).expect("the number of an error");
    let rules = CALLS.map(|call| (call, Vec::new()));
    let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(number));
    let filter = SeccompFilter::new(BTreeMap::from(rules), allow, refuse, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("a filter may be added");
}

/// What is reported while a loop is made, an event a line.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words(event.metadata().level().to_string());
        event.record(&mut words);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(words.0);
    }
}

fn reported<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let reports = Reports::default();
    let answer =
        tracing::subscriber::with_default(tracing_subscriber::registry().with(reports.clone()), work);
    let lines = reports.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (answer, lines)
}

/// Runs the test of this name in a process of its own, with a filter that answers so, and what the user chose.
fn in_a_sandbox(name: &str, error: &str, chosen: &str) {
    // Starting a process takes descriptors, which other tests count.
    let _alone = alone();
    let mut copy = process::copy(&format!("sandbox::{name}"), error);
    assert!(copy.env(BACKEND, chosen).status().expect("a copy").success(), "{error}, {chosen:?}");
}

/// The filter of this process, in a copy, and the kind of its error.
fn forbidden() -> Option<ErrorKind> {
    let (error, kind) = match process::part()?.as_str() {
        "EPERM" => (Errno::PERM, ErrorKind::PermissionDenied),
        "ENOSYS" => (Errno::NOSYS, ErrorKind::Unsupported),
        other => panic!("what is {other}?"),
    };
    forbid(error);
    Some(kind)
}

fn assert_names_completion(error: &CreateError, kind: ErrorKind) {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(cause.map(std::io::Error::kind), Some(kind));
    assert!(error.to_string().starts_with("cannot make a loop on the completion backend: "), "{error}");
}

#[test]
fn q09_where_io_uring_is_forbidden_the_choice_falls_on_readiness_and_says_so_once() {
    let Some(kind) = forbidden() else {
        let name = "q09_where_io_uring_is_forbidden_the_choice_falls_on_readiness_and_says_so_once";
        for error in ["EPERM", "ENOSYS"] {
            in_a_sandbox(name, error, "");
            in_a_sandbox(name, error, "auto");
        }
        return;
    };
    let error = Uring::new().expect_err("a refusal");
    assert_eq!(error.kind(), kind);
    assert_names_completion(&named("completion").err().expect("a refusal"), kind);

    let (backend, reports) = reported(auto);
    assert_eq!(backend.expect("a backend").name(), "readiness");
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert!(report.starts_with(Level::DEBUG.as_str()), "{report}");
    for words in ["backend=\"readiness\"", "io_uring cannot be used", &format!("error={error}")] {
        assert!(report.contains(words), "{report} lacks {words}");
    }
    let (reactor, reports) = reported(Reactor::new);
    assert_eq!(reports.len(), 1);
    serves(&reactor.expect("a loop"));
}

#[test]
fn q09_who_insists_on_io_uring_is_told_that_it_is_forbidden() {
    let Some(kind) = forbidden() else {
        let name = "q09_who_insists_on_io_uring_is_told_that_it_is_forbidden";
        ["EPERM", "ENOSYS"].iter().for_each(|error| in_a_sandbox(name, error, "completion"));
        return;
    };
    let (backend, reports) = reported(auto);
    assert_names_completion(&backend.err().expect("a refusal"), kind);
    assert_eq!(reports, [""; 0]);
    assert_names_completion(&Reactor::new().expect_err("a refusal"), kind);
}

/// Q09
#[test]
fn a_kernel_that_is_too_old_is_a_clear_error() {
    let _alone = alone();
    let error = Options::default().without(Feature::Essentials).build().expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("too old"), "{error}");
}
