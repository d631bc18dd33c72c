//! The ring: what is submitted, and what came of it.
//!
//! # Who owns which memory when
//!
//! The kernel reads and writes memory of ours while operations are under way, so each operation has one owner and one
//! end. These rules are what the `SAFETY` comments of this folder cite.
//!
//! - **R1, one end.** An operation begins when its entry is pushed, and is over when its last completion was read: the
//!   one without `IORING_CQE_F_MORE`, or, for a quiet send, when the call that submitted it has returned and no completion of it is
//!   there (`sending.rs`). Nobody else ends it: not a close, an abort, or a panic of the user's.
//! - **R2, bytes to send** belong to their connection's entry in the table, as the [`Outgoing`] that was lent, or [depart](super::Departures), of
//!   whose memory nothing is used again before all its sends are over. They are neither
//!   changed nor dropped until the send is over. The entry stays in the table until all of its operations are over,
//!   closed or not.
//! - **R3, buffers to receive into** belong to the [pool](super::buffers) and are named by number alone. The memory of the pool outlives the
//!   ring's last operation, or is leaked.
//! - **R4, arguments** (addresses, lists of parts) are read by the kernel while it takes the entry off the
//!   submission queue (`IORING_FEAT_SUBMIT_STABLE`, without which there is no ring of ours). They belong to the ring until it did:
//!   until a call that began after they were put away has left nothing unsubmitted.
//! - **R5, descriptors.** Closing one does not end what is under way on it. A close therefore cancels first, and is answered
//!   when everything of its key is over. The number may be somebody else's by then, and names nothing any more: operations
//!   are known by their [tag](super::tag) alone.
//! - **R6, the end of the ring.** Before it is dropped everything is cancelled and waited for. What does not end by then
//!   (there is no such case known) takes its memory along: that is leaked, never freed.

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::mem::transmute;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

use super::message::Message;
use super::options::{Feature, Options};
use super::tag::{Tag, What};
use crate::backend::{Outgoing, SystemCalls};

/// One group of buffers is enough.
pub(super) const GROUP: u16 = 0;

/// What polls ask for, as in poll(2).
#[allow(clippy::cast_sign_loss)]
pub(super) const READABLE: u32 = libc::POLLIN as u32;
#[allow(clippy::cast_sign_loss)]
pub(super) const PEER_ENDED: u32 = libc::POLLRDHUP as u32;

/// How many bytes one send offers at most; the answer is a positive `i32`.
pub(super) const LONGEST: usize = 1 << 30;
/// How a quiet send is made. Without MSG_WAITALL a part would be a success, and nobody would know how much was sent.
const QUIETLY: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | libc::MSG_DONTWAIT;
/// As liburing calls it; the number is in no crate.
const RECVSEND_POLL_FIRST: u16 = 1;

/// What came of an operation. There is one of each, so what it hands over is handed over once.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) tag: Tag,
    pub(super) result: i32,
    flags: u32,
}

impl Answer {
    /// Whether the operation goes on.
    pub(super) fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// How many bytes, if it did not fail.
    #[inline]
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.result).unwrap_or(0)
    }

    pub(super) fn outcome(&self) -> io::Result<i32> {
        if self.result < 0 { Err(io::Error::from_raw_os_error(-self.result)) } else { Ok(self.result) }
    }

    /// The buffer of the pool that was used, and whether the kernel goes on using it.
    pub(super) fn buffer(&self) -> Option<(u16, bool)> {
        cqueue::buffer_select(self.flags).map(|number| (number, cqueue::buffer_more(self.flags)))
    }

    /// What an accept brought: a socket, or the number of an error.
    pub(super) fn accepted(self) -> Result<OwnedFd, i32> {
        if self.tag.what() != What::Accept || self.result < 0 {
            return Err(-self.result);
        }
        // SAFETY: the kernel has made this descriptor for us, and told nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(self.result) })
    }
}

/// How a send behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It does not wait for room, and a complete success makes no completion.
    Quiet,
    /// It waits for room, and is answered whatever happens. The socket is known to be full.
    Patient,
}

/// What stays where it is while its list grows.
type Boxed<T> = Box<T>;

/// The ring.
pub(super) struct Ring {
    inner: IoUring,
    /// What found no room in the submission queue, in order.
    backlog: VecDeque<squeue::Entry>,
    /// Arguments of what was not submitted yet (R4), and room for more.
    messages: Vec<Boxed<Message>>,
    spares: Vec<Boxed<Message>>,
    addresses: Vec<Boxed<SockAddr>>,
    /// Whether the last call left nothing unsubmitted.
    took_all: bool,
    knows_credit: bool,
}

impl Ring {
    /// # Errors
    ///
    /// The kernel's, or `Unsupported` for one that lacks what cannot be done without.
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let inner = build(options.entries)?;
        let params = inner.params();
        let suffices = params.is_feature_ext_arg()
            && params.is_feature_nodrop()
            && params.is_feature_submit_stable()
            && params.is_feature_skip_cqe_on_success()
            && params.is_feature_fast_poll();
        if !suffices || !options.allows(Feature::Essentials) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel's io_uring is too old"));
        }
        Ok(Self {
            inner,
            backlog: VecDeque::new(),
            took_all: true,
            knows_credit: options.allows(Feature::Credit),
            messages: Vec::new(),
            spares: Vec::new(),
            addresses: Vec::new(),
        })
    }

    pub(super) fn inner(&self) -> &IoUring {
        &self.inner
    }

    /// Whether a wait may gather events for a few microseconds.
    pub(super) fn can_gather(&self) -> bool {
        self.inner.params().is_feature_min_timeout()
    }

    // Entering the kernel.

    /// Whether something was pushed that the kernel has not taken.
    pub(super) fn has_unsubmitted(&mut self) -> bool {
        !self.backlog.is_empty() || !self.inner.submission().is_empty()
    }

    /// Whether the last call that entered the kernel left nothing unsubmitted.
    pub(super) fn took_all(&self) -> bool {
        self.took_all
    }

    /// Whether the kernel has something that only a call fetches.
    pub(super) fn wants_enter(&mut self) -> bool {
        let queue = self.inner.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    pub(super) fn overflowed(&mut self) -> bool {
        self.inner.submission().cq_overflow()
    }

    /// Whether answers can be read without a call.
    pub(super) fn has_answers(&mut self) -> bool {
        !self.inner.completion().is_empty()
    }

    /// Submits, without waiting.
    pub(super) fn submit(&mut self, calls: &mut SystemCalls) -> io::Result<()> {
        calls.waits += 1;
        self.refill();
        let entered = self.inner.submit();
        self.entered(entered)
    }

    /// Submits, and lets everything else be: answers that come in the middle of a turn would only pile up.
    pub(super) fn submit_alone(&mut self, calls: &mut SystemCalls) -> io::Result<()> {
        calls.waits += 1;
        self.refill();
        let count = u32::try_from(self.inner.submission().len()).unwrap_or(u32::MAX);
        // SAFETY: no signal mask is passed; what the entries refer to stands, as for every other submission (R1 to R5).
        let entered = unsafe { self.inner.submitter().enter::<libc::sigset_t>(count, 0, 0, None) };
        self.entered(entered)
    }

    /// Submits, and waits for `want` answers, at most for `limit`. Once one is there, more are waited for only for `gather`.
    pub(super) fn wait(
        &mut self,
        want: usize,
        limit: Option<Duration>,
        gather: Option<Duration>,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        calls.waits += 1;
        self.refill();
        // What found no room could be what everybody waits for.
        let want = if self.backlog.is_empty() { want } else { 0 };
        let mut args = SubmitArgs::new();
        let timespec;
        if let Some(limit) = limit {
            timespec = Timespec::from(limit);
            args = args.timespec(&timespec);
        }
        if let Some(gather) = gather {
            args = args.min_wait_usec(u32::try_from(gather.as_micros()).unwrap_or(u32::MAX));
        }
        let entered = self.inner.submitter().submit_with_args(want, &args);
        self.entered(entered)
    }

    fn entered(&mut self, entered: io::Result<usize>) -> io::Result<()> {
        self.refill();
        self.took_all = self.inner.submission().is_empty() && self.backlog.is_empty();
        if self.took_all {
            // R4: the kernel has read them.
            self.spares.append(&mut self.messages);
            self.addresses.clear();
        }
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal, the time limit, and shortages that pass: the next call goes on.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// The answers that are there.
    #[inline]
    pub(super) fn answers(&mut self) -> impl Iterator<Item = Answer> {
        self.inner.completion().map(|entry| Answer {
            tag: Tag::from(entry.user_data()),
            result: entry.result(),
            flags: entry.flags(),
        })
    }

    fn refill(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: its memory is valid for as long as the operation lasts: whoever pushed it first saw to that.
            if unsafe { self.inner.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Makes room for an entry. The arguments of that entry are put away only after this: a call that leaves nothing unsubmitted
    /// frees all that were put away before it (R4).
    fn make_room(&mut self, calls: &mut SystemCalls) {
        if self.backlog.is_empty() && self.inner.submission().is_full() {
            // An error stays for the next wait, which meets it again.
            let _ = self.submit(calls);
        }
    }

    /// Pushes where there is [room](Self::make_room), and never enters the kernel.
    ///
    /// # Safety
    ///
    /// The memory that `entry` names has to be valid until the operation is over (R1).
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller's promise.
        if !self.backlog.is_empty() || unsafe { self.inner.submission().push(entry) }.is_err() {
            self.backlog.push_back(entry.clone());
        }
    }

    /// Pushes what has no arguments to be put away, and makes room for it if there is none.
    ///
    /// # Safety
    ///
    /// As of [`push`](Self::push).
    #[inline(always)]
    unsafe fn push_at_once(&mut self, entry: &squeue::Entry, calls: &mut SystemCalls) {
        // SAFETY: the caller's promise.
        if !self.backlog.is_empty() || unsafe { self.inner.submission().push(entry) }.is_err() {
            // SAFETY: as above.
            unsafe { self.push_after_all(entry, calls) }
        }
    }

    /// Makes room, and pushes.
    ///
    /// # Safety
    ///
    /// As of [`push`](Self::push).
    #[inline(never)]
    unsafe fn push_after_all(&mut self, entry: &squeue::Entry, calls: &mut SystemCalls) {
        self.make_room(calls);
        // SAFETY: the caller's promise.
        unsafe { self.push(entry) }
    }

    /// Pushes what names no memory.
    pub(super) fn push_plain(&mut self, entry: &squeue::Entry, calls: &mut SystemCalls) {
        // SAFETY: the entry names no memory, or buffers of the pool, which outlives the ring (R3).
        unsafe { self.push_at_once(entry, calls) }
    }

    // Operations.

    /// Receives into the pool's buffers until it ends or is cancelled, or, with a `credit`, until so many bytes came.
    pub(super) fn receive(&mut self, fd: RawFd, tag: Tag, credit: Option<u32>, calls: &mut SystemCalls) {
        let entry = opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(tag.into());
        let entry = credit
            .map_or_else(|| entry.clone(), |credit| with_credit(entry.clone(), credit, self.knows_credit));
        self.push_plain(&entry, calls);
    }

    pub(super) fn connect(&mut self, fd: RawFd, address: SockAddr, tag: Tag, calls: &mut SystemCalls) {
        self.make_room(calls);
        let address = Box::new(address);
        let entry = opcode::Connect::new(Fd(fd), address.as_ptr().cast(), address.len()).build();
        self.addresses.push(address);
        // SAFETY: the address is the ring's until it was read (R4); what is boxed does not move.
        unsafe { self.push(&entry.user_data(tag.into())) }
    }

    /// Sends few bytes of each quietly, as long as there is a next one.
    ///
    /// # Safety
    ///
    /// They must not be changed or freed until the operations are over (R2).
    #[inline(always)]
    pub(super) unsafe fn send_each(
        &mut self,
        mut next: impl FnMut() -> Option<(RawFd, NonNull<[u8]>, Tag)>,
        calls: &mut SystemCalls,
    ) {
        // It is opened once for all of them.
        let mut queue = self.inner.submission();
        while let Some((fd, bytes, tag)) = next() {
            #[allow(clippy::cast_possible_truncation)]
            let send = opcode::Send::new(Fd(fd), bytes.as_ptr().cast(), bytes.len() as u32).flags(QUIETLY);
            let entry = quiet(send.build().user_data(tag.into()));
            // SAFETY: the caller's promise.
            if !self.backlog.is_empty() || unsafe { queue.push(&entry) }.is_err() {
                drop(queue);
                // SAFETY: as above.
                unsafe { self.push_after_all(&entry, calls) };
                queue = self.inner.submission();
            }
        }
    }

    /// Sends from the front of `outgoing`. How much that is, `offered` in `sending.rs` tells.
    ///
    /// # Safety
    ///
    /// `outgoing` must not be changed or dropped until the operation is over (R2).
    pub(super) unsafe fn send(
        &mut self,
        fd: RawFd,
        outgoing: &Outgoing,
        tag: Tag,
        manner: Manner,
        calls: &mut SystemCalls,
    ) {
        self.make_room(calls);
        let flags = match manner {
            Manner::Quiet => QUIETLY,
            Manner::Patient => libc::MSG_NOSIGNAL,
        };
        let first = if manner == Manner::Patient { RECVSEND_POLL_FIRST } else { 0 };
        let entry = if outgoing.segments() > 1 {
            let mut message = self.spares.pop().unwrap_or_default();
            let header = message.fill(outgoing);
            self.messages.push(message);
            #[allow(clippy::cast_sign_loss)]
            opcode::SendMsg::new(Fd(fd), header).ioprio(first).flags(flags as u32).build()
        } else {
            let bytes = outgoing.front();
            #[allow(clippy::cast_possible_truncation)]
            let len = bytes.len().min(LONGEST) as u32;
            opcode::Send::new(Fd(fd), bytes.as_ptr(), len).ioprio(first).flags(flags).build()
        };
        let entry = entry.user_data(tag.into());
        let entry = if manner == Manner::Quiet { quiet(entry) } else { entry };
        // SAFETY: the bytes are the caller's care, and the list of parts is the ring's until it was read (R4).
        unsafe { self.push(&entry) }
    }
}

/// Whoever has 1 024 entries needs a few hundred kilobytes of locked memory. Where there is less, a small ring is better
/// than none.
fn build(entries: u32) -> io::Result<IoUring> {
    let made = try_build(entries);
    match &made {
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && entries > 64 => try_build(64),
        _ => made,
    }
}

fn try_build(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_cqsize(entries * 4)
        .setup_submit_all()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(entries)
}

/// A success makes no completion.
pub(super) fn quiet(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(squeue::Flags::SKIP_SUCCESS)
}

/// Puts the total number of bytes into the entry, in a field that the crate has no name for: `optlen`, at offset 44 of
/// `struct io_uring_sqe`. Kernels that do not know it there answer EINVAL, as every kernel does to an `addr2`, at offset 8,
/// in a receive.
fn with_credit(entry: squeue::Entry, credit: u32, is_known: bool) -> squeue::Entry {
    // SAFETY: the entry is `repr(C)` around the kernel's 64 bytes, all of which are initialised, and any bits are
    // a valid entry. The sizes are compared when compiling.
    let mut words = unsafe { transmute::<squeue::Entry, [u32; 16]>(entry) };
    words[11] = credit;
    words[2] = u32::from(!is_known);
    // SAFETY: as above.
    unsafe { transmute::<[u32; 16], squeue::Entry>(words) }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("backlog", &self.backlog.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Ring {
    /// Does as if the kernel had taken so many fewer operations than it was offered.
    pub(super) fn hold_back(&mut self, count: usize) {
        self.backlog.extend((0..count).map(|_| opcode::Nop::new().build()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where memory is short the kernel takes less than it was offered, and the rest has to wait for the next call.
    #[test]
    fn what_the_kernel_has_not_taken_is_submitted_before_anybody_sleeps() {
        let Ok(mut ring) = Ring::new(&Options::default().entries(8)) else { return };
        let (mut calls, mut answers) = (SystemCalls::default(), Vec::new());
        ring.hold_back(20);
        for submitted in [8, 16] {
            ring.wait(20, None, None, &mut calls).unwrap();
            assert!(!ring.took_all());
            answers.extend(ring.answers());
            assert_eq!(answers.len(), submitted);
        }
        ring.wait(4, None, None, &mut calls).unwrap();
        answers.extend(ring.answers());
        assert!(ring.took_all() && answers.len() == 20 && calls.waits == 3);
    }
}
