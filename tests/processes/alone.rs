//! Where the system has no descriptors that stand for processes: a filter says so, as sandboxes and old kernels do.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use marline_reactor::{Exit, KillError, Process, SignalKind};
use marline_tests::backends::{here, reactor};
use marline_tests::process;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::{descriptors, own_process, shell, until};

/// The call `pidfd_open`, which has this number on every architecture that the filter knows.
const PIDFD_OPEN: i64 = 434;

fn forbid_pidfds() {
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture that the filter knows");
    let number = u32::try_from(Errno::NOSYS.raw_os_error()).expect("the number of an error");
    let rules = BTreeMap::from([(PIDFD_OPEN, Vec::new())]);
    let refuse = SeccompAction::Errno(number);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("a filter may be added");
}

#[test]
fn p02_p05_without_pidfds_sigchld_tells_of_exits() {
    if process::part().is_none() {
        let _process = own_process();
        let name = "alone::p02_p05_without_pidfds_sigchld_tells_of_exits";
        assert!(process::copy(name, "child").status().expect("a copy").success());
        return;
    }
    forbid_pidfds();
    for backend in here() {
        let (reactor, exits) = (reactor(backend), Rc::new(RefCell::new(Vec::new())));
        let ended = Rc::new(Cell::new(0));
        let spawn = |line: &str| {
            let (exits, ended) = (Rc::clone(&exits), Rc::clone(&ended));
            let protocol = move |_: &Process, exit: Exit| {
                exits.borrow_mut().push(exit);
                ended.set(ended.get() + 1);
            };
            reactor.handle().spawn_process(shell(line), protocol).expect("a process")
        };
        // One that has exited before the loop could hear of it, and keeps the loop alive until it is told.
        let early = spawn("exit 3");
        let pid = i32::try_from(early.id()).ok().and_then(Pid::from_raw).expect("a number");
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("a child");
        assert!(matches!(early.kill(), Err(KillError::Exited)));
        reactor.run().expect("a run");
        assert_eq!(exits.take(), [Exit::Code(3)]);
        let baseline = descriptors();
        let killed: Vec<_> = (0..20).map(|_| spawn("exec sleep 100000")).collect();
        (0..20).for_each(|code| _ = spawn(&format!("exit {code}")));
        killed.iter().for_each(|process| process.signal(SignalKind::TERMINATE).expect("it runs"));
        until(&reactor, || ended.get() == 41);
        let by_signal =
            exits.take().iter().filter(|exit| exit.signal() == Some(SignalKind::TERMINATE)).count();
        assert_eq!((by_signal, descriptors()), (20, baseline));
        assert!(matches!(killed[0].kill(), Err(KillError::Exited)));
    }
}
