//! Clients of all kinds on one server at once, for some time: fast ones, whose round trips are timed, among slow ones, stuck
//! ones, and ones that reset their connections in the middle of a message.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::dial::dial;
use super::echo::SCRATCH;
use super::misfits::{Resetting, Slow, Stuck};
use super::pattern::Pattern;
use super::plan::{Line, Plan, Report, Sample};
use super::timing::Timing;
use super::volley::Volley;
use crate::usage;

/// How many of each kind there are, beside the fast ones: those are as many as the plan says.
const SLOW: usize = 32;
const STUCK: usize = 16;
/// How often slow clients read a byte, and one client resets its connection.
const TICK: Duration = Duration::from_millis(1);
/// When memory is looked at first: once everything that comes only once has come.
const FIRST_SAMPLE: Duration = Duration::from_secs(10);

pub(super) fn run(plan: &Plan, seconds: u64, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut crowd = Crowd::gather(plan)?;
    let whole = Duration::from_secs(seconds);
    let begun = Instant::now();
    let (server, user, switches) =
        (usage::cpu_time(plan.pid)?, usage::user_time(plan.pid)?, usage::switches(plan.pid)?);
    let mut look_at = Some(FIRST_SAMPLE.min(whole / 2));
    let mut tick = begun + TICK;
    while begun.elapsed() < whole {
        crowd.wait(tick)?;
        if Instant::now() >= tick {
            crowd.tick()?;
            tick = Instant::now() + TICK;
        }
        if look_at.take_if(|at| begun.elapsed() >= *at).is_some() {
            tell(&Line::Sample(sample(plan, &crowd, begun)?));
        }
    }
    tell(&Line::Sample(sample(plan, &crowd, begun)?));
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let wall = begun.elapsed();
    Ok(Report {
        requests: crowd.done,
        server: nanoseconds(usage::cpu_time(plan.pid)?.saturating_sub(server)),
        server_user: nanoseconds(usage::user_time(plan.pid)?.saturating_sub(user)),
        load: nanoseconds(wall.saturating_sub(crowd.idle)),
        wall: nanoseconds(wall),
        switches: usage::switches(plan.pid)?.saturating_sub(switches),
        latency: crowd.timing.as_ref().map(Timing::latency),
    })
}

fn sample(plan: &Plan, crowd: &Crowd, begun: Instant) -> io::Result<Sample> {
    Ok(Sample {
        requests: crowd.done,
        resident: usage::resident(plan.pid)?,
        descriptors: usage::descriptors(plan.pid)?,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

struct Crowd {
    poll: Poll,
    events: Events,
    pattern: Pattern,
    scratch: Vec<u8>,
    timing: Option<Timing>,
    fast: Vec<Volley>,
    slow: Vec<Slow>,
    stuck: Vec<Stuck>,
    resetting: Resetting,
    /// How many round trips the fast ones made, and how long there was nothing to do.
    done: u64,
    idle: Duration,
}

impl Crowd {
    fn gather(plan: &Plan) -> io::Result<Self> {
        let poll = Poll::new()?;
        let pattern = Pattern::new(plan.size);
        let mut tokens = (0..).map(Token);
        let mut open = || dial(plan.port, &poll, tokens.next().unwrap_or(Token(0)));
        let fast = (0..plan.connections).map(|_| Ok(Volley::new(open()?))).collect::<io::Result<Vec<_>>>()?;
        let slow = (0..SLOW).map(|_| Ok(Slow::new(open()?))).collect::<io::Result<Vec<_>>>()?;
        let stuck = (0..STUCK).map(|_| Ok(Stuck::new(open()?))).collect::<io::Result<Vec<_>>>()?;
        let mut crowd = Self {
            events: Events::with_capacity(1024),
            scratch: vec![0; SCRATCH],
            timing: Timing::new(),
            resetting: Resetting::new(plan.port),
            done: 0,
            idle: Duration::ZERO,
            poll,
            pattern,
            fast,
            slow,
            stuck,
        };
        for volley in &mut crowd.fast {
            volley.begin(&crowd.pattern)?;
        }
        Ok(crowd)
    }

    /// Lets the fast clients go on until then. The others have events too, which say nothing that a tick does not.
    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let begun = Instant::now();
        match self.poll.poll(&mut self.events, Some(until.saturating_duration_since(begun))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => self.idle += begun.elapsed(),
        }
        for event in &self.events {
            let Some(volley) = self.fast.get_mut(event.token().0) else { continue };
            if let Some(time) = volley.advance(&self.pattern, &mut self.scratch)? {
                self.done += 1;
                if let Some(timing) = &mut self.timing {
                    timing.add(time);
                }
                volley.begin(&self.pattern)?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        self.slow.iter_mut().try_for_each(Slow::tick)?;
        self.stuck.iter_mut().try_for_each(Stuck::tick)?;
        self.resetting.tick()
    }
}
