//! What a group knows of its children.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use marline_reactor::{Handle, LoopId, Panic};
use parking_lot::Mutex;

use super::error::GroupError;
use crate::task::join::{Ended, JoinHandle};
use crate::task::live::Name;
use crate::task::report::{self, Origin};
use crate::wake::{attempt, discard, wake};

/// Values, errors and the owner's waker are foreign code to drop, clone and wake, so all of that happens outside of the lock.
/// Aborting a child is not: it only puts the child's task into the ready queue.
pub(super) struct Shared<T: 'static, E: 'static> {
    state: Mutex<State<T, E>>,
}

pub(super) struct State<T: 'static, E: 'static> {
    fail_fast: bool,
    /// How many children there ever were.
    made: usize,
    /// Those that have not ended, in the order of spawning.
    live: BTreeMap<usize, Member>,
    /// Those that have and were not given to the owner, in the order in which they ended.
    ended: VecDeque<End<T, E>>,
    /// The one whose failure the owner is to see.
    failure: Option<End<T, E>>,
    /// A child has failed, and cancelled the others.
    failed: bool,
    /// The owner is gone, or has all it waited for.
    closed: bool,
    /// Who is to be woken.
    owner: Option<Waker>,
    /// What the owner waits for.
    until: Until,
}

/// What the owner waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The next end.
    Next,
    /// That no child is left.
    All,
}

struct Member {
    birth: Birth,
    /// `None` while it is being started.
    handle: Option<JoinHandle<()>>,
    /// By the group.
    cancelled: bool,
}

/// The first failure, and the other ends in the order of spawning.
type Everything<T, E> = (Option<End<T, E>>, Vec<End<T, E>>);

/// Where a child comes from.
pub(super) struct Birth {
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
    loop_id: Option<LoopId>,
}

/// How a child ended without a value.
pub(super) enum Cause<E> {
    Failed(E),
    Panicked(Panic),
    Cancelled,
}

pub(super) struct End<T: 'static, E: 'static> {
    pub(super) index: usize,
    birth: Birth,
    result: Result<T, Cause<E>>,
}

impl Birth {
    pub(super) fn new(
        place: &'static Location<'static>,
        name: Option<Name>,
        handle: Option<&Handle>,
    ) -> Self {
        Self { place, name, loop_id: handle.map(Handle::loop_id) }
    }
}

impl<T, E> End<T, E> {
    pub(super) fn into_result(self) -> Result<T, GroupError<E>> {
        let (index, birth) = (self.index, self.birth);
        self.result.map_err(|cause| GroupError::new(index, birth, cause))
    }

    /// Nobody is there to be told: reports what a task would report.
    fn report(self) {
        let Birth { place, name, loop_id } = self.birth;
        let Some(loop_id) = loop_id else { return };
        let error = match self.result {
            Ok(value) => report::error_of(Ok(Ok::<T, E>(value))),
            Err(Cause::Failed(error)) => report::error_of(Ok(Err::<T, E>(error))),
            Err(Cause::Panicked(panic)) => report::error_of::<()>(Err(Ended::Panicked(panic))),
            Err(Cause::Cancelled) => None,
        };
        if let Some(error) = error {
            report::unobserved_error(error, &Origin { loop_id, place, name });
        }
    }
}

impl<T, E> Shared<T, E> {
    pub(super) fn new(fail_fast: bool) -> Arc<Self> {
        let state = State {
            fail_fast,
            made: 0,
            live: BTreeMap::new(),
            ended: VecDeque::new(),
            failure: None,
            failed: false,
            closed: false,
            owner: None,
            until: Until::Next,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    // Children that begin.

    /// Takes a child in: its number. `None` if no child may begin any more.
    pub(super) fn admit(&self, birth: Birth) -> Option<usize> {
        let mut state = self.state.lock();
        if state.closed || state.failed {
            return None;
        }
        let index = state.next_index();
        state.live.insert(index, Member { birth, handle: None, cancelled: false });
        Some(index)
    }

    /// A number for a child that may not begin.
    pub(super) fn skip(&self) -> usize {
        self.state.lock().next_index()
    }

    /// The child has a task now.
    pub(super) fn started(&self, index: usize, handle: JoinHandle<()>) {
        let mut state = self.state.lock();
        // One that found no loop has ended already.
        let Some(member) = state.live.get_mut(&index) else { return };
        if member.cancelled {
            handle.abort();
        }
        member.handle = Some(handle);
    }

    // Children that end.

    /// The child has ended, and its future is dropped.
    pub(super) fn ended(&self, index: usize, result: Result<T, Cause<E>>) {
        let mut state = self.state.lock();
        let Some(member) = state.live.remove(&index) else { return };
        let (handle, cancelled) = (member.handle, member.cancelled);
        let end = End { index, birth: member.birth, result };
        let untold = state.take_in(end, cancelled);
        // Of a group that failed the owner hears when the last child is gone, as it does if it joins.
        let all = state.failed || state.until == Until::All;
        let waits = all && !state.live.is_empty();
        let owner = if waits { None } else { state.owner.take() };
        drop(state);
        drop(handle);
        if let Some(end) = untold {
            end.report();
        }
        if let Some(owner) = owner {
            wake(owner, "a group");
        }
    }

    pub(super) fn cancel_all(&self) {
        self.state.lock().cancel_all();
    }

    pub(super) fn len(&self) -> usize {
        let state = self.state.lock();
        state.live.len() + state.ended.len() + usize::from(state.failure.is_some())
    }

    // The owner.

    /// Answers what `look` finds, or sees to it that the owner is woken when there may be more to find.
    pub(super) fn poll<R>(
        &self,
        context: &Context<'_>,
        until: Until,
        look: impl Fn(&mut State<T, E>) -> Option<R>,
    ) -> Poll<R> {
        attempt(context, "a group", |visitor| {
            let mut state = self.state.lock();
            if let Some(found) = look(&mut state) {
                return Some(Poll::Ready(found));
            }
            visitor.keep_in(&mut state.owner)?;
            state.until = until;
            Some(Poll::Pending)
        })
    }

    /// The owner is gone.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.cancel_all();
        let ended = mem::take(&mut state.ended);
        let failure = state.failure.take();
        let owner = state.owner.take();
        drop(state);
        ended.into_iter().chain(failure).for_each(End::report);
        discard(owner, "a group");
    }
}

impl<T, E> State<T, E> {
    fn next_index(&mut self) -> usize {
        self.made += 1;
        self.made - 1
    }

    /// Keeps it for the owner, or hands it back if the owner is not to hear of it.
    fn take_in(&mut self, end: End<T, E>, cancelled: bool) -> Option<End<T, E>> {
        if self.closed {
            return Some(end);
        }
        if !self.fail_fast || end.result.is_ok() {
            self.ended.push_back(end);
            return None;
        }
        if self.failed || (cancelled && matches!(end.result, Err(Cause::Cancelled))) {
            return Some(end);
        }
        self.failed = true;
        self.failure = Some(end);
        self.cancel_all();
        None
    }

    fn cancel_all(&mut self) {
        for member in self.live.values_mut() {
            member.cancelled = true;
            if let Some(handle) = &member.handle {
                handle.abort();
            }
        }
    }

    /// The child that ended next; a failure that cancelled the others when all of them are gone.
    pub(super) fn next(&mut self) -> Option<Option<End<T, E>>> {
        match self.ended.pop_front() {
            Some(end) => Some(Some(end)),
            None if self.live.is_empty() => Some(self.failure.take()),
            None => None,
        }
    }

    /// Everything, when all children are gone; no child may begin then.
    pub(super) fn all(&mut self) -> Option<Everything<T, E>> {
        if !self.live.is_empty() {
            return None;
        }
        self.closed = true;
        let mut ended = Vec::from(mem::take(&mut self.ended));
        ended.sort_unstable_by_key(|end| end.index);
        Some((self.failure.take(), ended))
    }
}
