//! What holds while a group starts.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use futures::executor::block_on;
use marline_reactor::{StartErrorKind, Worker};
use marline_tasks::GroupTasks as _;
use marline_tests::{PATIENCE, backends, on_sockets, process, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bomb::{wake_soon, with_bomb};
use crate::support::{Here, connect_unix, group, socket_path, stats};

on_sockets! {
    g10_hooks_give_work_to_every_loop
    g05_a_loop_that_panics_while_others_start_is_named
    g05_a_start_that_fails_leaves_no_thread_behind
    g05_a_name_that_is_none_is_an_error
    g05_the_supervisor_is_there_before_the_first_loop
}

fn g10_hooks_give_work_to_every_loop(backend: &'static str) {
    let (sender, receiver) = channel();
    let here = || async { Worker::current().map(|worker| worker.index()) };
    let group = group(backend, 3).on_start(move |worker| {
        let group = worker.group_handle();
        for index in 0..3 {
            sender.send((Some(index), group.spawn_on(index, here())))?;
        }
        sender.send((None, group.spawn(here())))?;
        sender.send((None, group.spawn_with(here)))?;
        group.next_remote().post(|| ()).map_err(|error| error.to_string())?;
        Ok(())
    });
    let running = group.start().expect("loops");
    for _ in 0..15 {
        let (wanted, task) = receiver.recv_timeout(PATIENCE).expect("a task");
        let index = block_on(task).expect("an answer");
        assert!(index.is_some() && (wanted.is_none() || index == wanted), "{index:?} for {wanted:?}");
    }
    running.handle().stop();
    running.join().expect("a good end");
}

fn g05_a_loop_that_panics_while_others_start_is_named(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 2, 0);
    let group = group.on_start(move |worker| {
        if worker.index() == 0 {
            fuse.panics.store(true, Ordering::SeqCst);
            wake_soon(worker.handle());
        } else {
            wait_for("the first loop to break", || {
                if fuse.gone.load(Ordering::SeqCst) { Ok(()) } else { Err("it goes on".to_owned()) }
            });
        }
        Ok(())
    });
    match group.start() {
        Err(error) => {
            assert_eq!(error.index(), Some(0));
            assert!(matches!(error.kind(), StartErrorKind::Panicked(_)), "{error}");
        }
        // It may break a moment after the last of them has started.
        Ok(running) => {
            let broken = running.join().expect_err("a panic").to_string();
            assert!(broken.contains("loop 0 panicked: on purpose"), "{broken}");
        }
    }
}

/// Ends late, as its thread does.
struct Slow(Arc<AtomicBool>);

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(100));
        self.0.store(true, Ordering::SeqCst);
    }
}

thread_local! {
    static SLOW: RefCell<Option<Slow>> = const { RefCell::new(None) };
}

fn g05_a_start_that_fails_leaves_no_thread_behind(backend: &'static str) {
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    let group = group(backend, 2).on_start(move |worker| {
        if worker.index() == 1 {
            SLOW.set(Some(Slow(Arc::clone(&ended))));
            return Err("no database".into());
        }
        Ok(())
    });
    group.start().expect_err("an error");
    assert!(seen.load(Ordering::SeqCst), "its thread has ended");
}

fn g05_a_name_that_is_none_is_an_error(backend: &'static str) {
    for run in [false, true] {
        let group = group(backend, 1).name("a\0b");
        if run {
            group.run().expect_err("an error");
        } else {
            let kind = group.start().expect_err("an error").into_kind();
            assert!(matches!(kind, StartErrorKind::Thread(_)), "{kind:?}");
        }
    }
}

/// Sees to it that this process, a copy, is alone.
fn alone(name: &str, part: impl FnOnce()) {
    if process::part().is_some() {
        return part();
    }
    let output = process::copy(name, "program").output().expect("a copy of this program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn g05_a_group_that_starts_with_few_descriptors_accepts() {
    alone("starting::g05_a_group_that_starts_with_few_descriptors_accepts", || {
        for backend in backends::here() {
            let started = (1..60).filter(|more| accepts_with(backend, *more)).count();
            assert!((1..59).contains(&started), "{started} started");
        }
    });
}

/// Whether a group starts with so many more descriptors.
fn accepts_with(backend: &'static str, more: u64) -> bool {
    let path = socket_path();
    let group = group(backend, 2).listen(format!("unix://{}", path.display()), |_| Here).expect("a socket");
    let open = std::fs::read_dir("/proc/self/fd").expect("the list of descriptors").count();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let few = u64::try_from(open).expect("a number") + more;
    setrlimit(Resource::Nofile, Rlimit { current: Some(few), maximum }).expect("a lower limit");
    let started = group.start();
    // What the loops do at first, they have done when they answer.
    let answers = started.as_ref().map_or(0, |running| stats(&running.handle()).loops.len());
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the limit as it was");
    let Ok(running) = started else { return false };
    assert_eq!(answers, 2);
    connect_unix(&path).expect("a server").echo().expect("an echo");
    running.handle().stop();
    running.join().expect("a good end");
    true
}

/// If there is no thread for it, no loop has to be ended.
fn g05_the_supervisor_is_there_before_the_first_loop(backend: &'static str) {
    let name = format!("early-{}", &backend[..2]);
    let wanted = name.clone();
    let group = group(backend, 2).name(name).on_start(move |_| {
        let threads = std::fs::read_dir("/proc/self/task")?.flatten();
        let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        if names.any(|name| name.trim() == wanted) { Ok(()) } else { Err("no supervisor".into()) }
    });
    let running = group.start().expect("a supervisor");
    running.handle().stop();
    running.join().expect("a good end");
}
