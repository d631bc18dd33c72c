//! Work that blocks, done by threads of the loop's own.
//!
//! * `job`: what a program asks for, and gets; `error`: how a job can fail, or be refused.
//! * `ticket`: one job, as its thread and the loop see it.
//! * `crew`: the threads; `roll`: their queue, how many threads and jobs there are, and which thread leaves.
//! * This file: a pool as the loop sees it. There are two, of the same kind: one for the program's jobs, one for host names.
//!
//! ```text
//!  run_blocking ──> queue ──> a thread: begin, run, note the end ──> finished, signal ──> the loop: done
//!        cancel ──> revoke the ticket ─────────────────────────────────^
//! ```
//!
//! A job is either revoked or begun, never both: its ticket decides, under a lock. Either way its key goes to the list of
//! those that are finished, and a signal wakes the loop, which takes what the ticket holds and calls `done`.

mod crew;
mod error;
mod job;
#[cfg(all(test, loom))]
mod models;
mod roll;
mod ticket;

use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

pub use error::{JobError, PoolError};
pub use job::Job;

use crate::choice::ChoiceKind;
use crate::key::Key;
use crate::reactor::Shell;
use crate::ready::{Callback, Entry};
use crate::slab::Slab;
pub(crate) use crew::Refusal;
use crew::{Crew, Shared, Task};
use ticket::{Pending, Ticket, Waiting};

/// What a pool may grow to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) threads: usize,
    /// How many jobs may wait for a thread.
    pub(crate) queue: usize,
    /// How long a thread without work stays.
    pub(crate) idle: Duration,
    /// How long the end of the loop waits for jobs that run.
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 32, queue: 1024, idle: Duration::from_secs(10), grace: Duration::from_secs(1) }
    }
}

/// Whose jobs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The program's.
    Program,
    /// The connection attempts': host names to look up.
    Resolver,
}

/// A pool, as the loop sees it.
pub(crate) struct Pool {
    whose: Whose,
    limits: Limits,
    /// `None` before the first job, and after the end.
    crew: Option<Open>,
    jobs: Slab<Waiting>,
    ended: bool,
}

struct Open {
    crew: Crew,
    /// The jobs that are finished and not delivered.
    finished: Receiver<Key>,
}

impl Pool {
    pub(crate) fn new(whose: Whose, limits: Limits) -> Self {
        Self { whose, limits, crew: None, jobs: Slab::new(), ended: false }
    }

    /// How many jobs have an outcome that is still to come.
    pub(crate) fn open(&self) -> usize {
        self.jobs.len()
    }

    /// Whether a job was not delivered yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.open() > 0
    }

    /// The number of its threads, and of jobs that wait for one.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.crew.as_ref().map_or((0, 0), |open| open.crew.counts())
    }

    fn thread_name(&self) -> &'static str {
        match self.whose {
            Whose::Program => "marline-pool",
            Whose::Resolver => "marline-resolver",
        }
    }

    /// The jobs that finished, in an order that chance decides.
    fn take_finished(&mut self, choose: impl Fn(usize) -> usize) -> Vec<Waiting> {
        let Some(open) = &self.crew else { return Vec::new() };
        let mut keys: Vec<Key> = open.finished.try_iter().collect();
        shuffle(&mut keys, choose);
        keys.into_iter().filter_map(|key| self.jobs.remove(key)).collect()
    }

    /// Takes out what never began.
    fn take_unbegun(&mut self) -> Vec<Waiting> {
        let keys = self.jobs.keys();
        let unbegun = |key: &Key| self.jobs.get(*key).is_some_and(|job| job.pending.revoke());
        let keys: Vec<Key> = keys.into_iter().filter(unbegun).collect();
        if let Some(open) = &self.crew {
            keys.iter().for_each(|_| open.crew.shared().revoked());
        }
        keys.into_iter().filter_map(|key| self.jobs.remove(key)).collect()
    }
}

/// Draws the order of these, from the first to the last: `choose` answers with a number below the one it is given, and with
/// zero leaves the first of those that are left in its place.
fn shuffle<T>(values: &mut [T], choose: impl Fn(usize) -> usize) {
    for place in 0..values.len() {
        values.swap(place, place + choose(values.len() - place));
    }
}

/// A job that was refused, and why. Hands back what was given.
pub(crate) struct Refused<W, D> {
    pub(crate) why: Refusal,
    work: W,
    pub(crate) done: D,
}

impl Shell {
    fn pool(&self, whose: Whose) -> std::cell::RefMut<'_, Pool> {
        match whose {
            Whose::Program => self.pool.borrow_mut(),
            Whose::Resolver => self.resolver.borrow_mut(),
        }
    }

    /// Whether threads of the loop's own are at work, and will wake it.
    pub(crate) fn helpers_busy(&self) -> bool {
        self.pool.borrow().is_busy() || self.resolver.borrow().is_busy()
    }

    pub(crate) fn start_job<W, T, D>(
        self: &Rc<Self>,
        whose: Whose,
        work: W,
        done: D,
        place: &'static Location<'static>,
    ) -> Result<Job, Refused<W, D>>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        D: FnOnce(Result<T, JobError>) + 'static,
    {
        if self.refuses_work() || self.pool(whose).ended {
            return Err(Refused { why: Refusal::Over, work, done });
        }
        self.open_pool(whose);
        let mut pool = self.pool(whose);
        let Pool { crew: Some(open), jobs, .. } = &mut *pool else {
            return Err(Refused { why: Refusal::Over, work, done });
        };
        let ticket = Arc::new(Ticket::new(work));
        let pending = Box::new(Pending::new(&ticket, done));
        let key = jobs.insert(Waiting { pending, place });
        let task = Task { key, work: ticket.clone() };
        let job = Job::new(key, ticket.clone(), open.crew.shared());
        let Err(why) = open.crew.submit(task) else { return Ok(job) };
        // A thread that ended just then may have begun it after all.
        let Some(work) = ticket.take_back() else { return Ok(job) };
        if let Refusal::Thread(_) = why {
            open.crew.shared().revoked();
        }
        let waiting = jobs.remove(key);
        drop(pool);
        let done = waiting.and_then(|waiting| waiting.pending.into_done()?.downcast::<D>().ok());
        match done {
            Some(done) => Err(Refused { why, work, done: *done }),
            // What was put into the table comes out of it.
            None => Ok(job),
        }
    }

    /// Makes the pool what it is after its first job.
    fn open_pool(self: &Rc<Self>, whose: Whose) {
        if self.pool(whose).crew.is_some() {
            return;
        }
        let shell: Weak<Self> = self.weak();
        let signal = self.add_signal(Box::new(move || {
            if let Some(shell) = shell.upgrade() {
                shell.deliver_jobs(whose);
            }
        }));
        let (sender, finished) = unbounded();
        let mut pool = self.pool(whose);
        let crew = Crew::new(pool.thread_name(), pool.limits, Shared::new(sender, signal));
        pool.crew = Some(Open { crew, finished });
    }

    /// Puts the outcomes of finished jobs into the ready queue.
    fn deliver_jobs(&self, whose: Whose) {
        let choose = |among| self.choices().choose(ChoiceKind::Job, among);
        let finished = self.pool(whose).take_finished(choose);
        for job in finished {
            self.deliver_job(job, None);
        }
    }

    fn deliver_job(&self, job: Waiting, error: Option<JobError>) {
        let Waiting { pending, place } = job;
        if let Some(work) = pending.revoked_work() {
            self.discard(work);
        }
        self.push(Entry::Call(Callback::new(move || pending.call(error), place)));
    }

    // The end.

    /// The shutdown tells everybody: what never began never will.
    pub(crate) fn revoke_jobs(&self) {
        let unbegun = self.pool(Whose::Program).take_unbegun();
        for job in unbegun {
            self.deliver_job(job, Some(JobError::NeverBegan));
        }
    }

    /// Whether the shutdown has to settle what became of jobs.
    pub(crate) fn has_jobs(&self) -> bool {
        let pool = self.pool.borrow();
        pool.is_busy() || (pool.crew.is_some() && !pool.ended)
    }

    /// Ends the threads, waiting a stated time for jobs that run, and settles what becomes of each.
    pub(crate) fn finish_jobs(&self) {
        self.revoke_jobs();
        self.stop_crew(Whose::Resolver);
        self.stop_crew(Whose::Program);
        self.deliver_jobs(Whose::Program);
        let left: Vec<Waiting> =
            std::mem::replace(&mut self.pool(Whose::Program).jobs, Slab::new()).into_values().collect();
        for job in left {
            self.deliver_job(job, Some(JobError::Abandoned));
        }
    }

    fn stop_crew(&self, whose: Whose) {
        let mut pool = self.pool(whose);
        pool.ended = true;
        let grace = pool.limits.grace;
        let waiting = pool.crew.as_mut().and_then(|open| open.crew.end());
        drop(pool);
        // Nothing is borrowed: what ends on the threads may be code of the user's, but it runs there.
        if let Some(waiting) = waiting {
            waiting.wait(grace);
        }
    }

    /// The loop is dropped: no job begins any more. What those hold that never did is dropped.
    pub(crate) fn end_unbegun_jobs(&self) {
        for whose in [Whose::Program, Whose::Resolver] {
            let unbegun = self.pool(whose).take_unbegun();
            self.drop_each(unbegun);
        }
    }

    /// The loop is dropped: the threads end. Nobody is called back.
    pub(crate) fn end_pools(&self) {
        for whose in [Whose::Program, Whose::Resolver] {
            self.stop_crew(whose);
            let mut pool = self.pool(whose);
            let (crew, jobs) = (pool.crew.take(), std::mem::replace(&mut pool.jobs, Slab::new()));
            drop(pool);
            drop(crew);
            self.drop_each(jobs.into_values());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::shuffle;

    #[test]
    fn the_tame_order_is_that_of_the_ends() {
        let mut order = [1, 2, 3, 4, 5];
        shuffle(&mut order, |_| 0);
        assert_eq!(order, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn chance_may_draw_every_order_once() {
        let mut orders = BTreeSet::new();
        for number in 0..24 {
            let (rest, asked) = (RefCell::new(number), RefCell::new(Vec::new()));
            let mut order = [1, 2, 3, 4];
            shuffle(&mut order, |among| {
                asked.borrow_mut().push(among);
                let mut rest = rest.borrow_mut();
                let chosen = *rest % among;
                *rest /= among;
                chosen
            });
            assert_eq!(asked.into_inner(), [4, 3, 2, 1]);
            orders.insert(order);
        }
        assert_eq!(orders.len(), 24);
    }
}
