//! Signals of the operating system, awaited.
//!
//! * This file: the signals of one kind, as a program holds them. `ctrl_c`: the one that everybody waits for.

mod ctrl_c;

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use marline_reactor::{Handle, Remote, SignalError, SignalHandler, SignalKind};

pub use ctrl_c::{CtrlC, ctrl_c};

use self::ctrl_c::Interrupts;
use crate::error::WrongThread;
use crate::local::Local;
use crate::net::on_loop;
use crate::table::{Table, TableKey};
use crate::wake::{attempt, discard, wake};

const WHAT: &str = "a signal";

/// What waits for signals in a loop.
#[derive(Default)]
pub(crate) struct Waiting {
    table: RefCell<Table<Receiver>>,
    interrupts: RefCell<Interrupts>,
}

struct Receiver {
    /// `None` while it is being made.
    handler: Option<SignalHandler>,
    came: bool,
    waker: Option<Waker>,
}

impl Waiting {
    /// Works on a receiver. `change` must run no code of anybody else's.
    fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut Receiver) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    fn came(&self, key: TableKey) {
        let waker = self.with(key, |receiver| {
            receiver.came = true;
            receiver.waker.take()
        });
        if let Some(waker) = waker.flatten() {
            wake(waker, WHAT);
        }
    }

    fn remove(&self, key: TableKey) {
        let receiver = self.table.borrow_mut().remove(key);
        let Some(Receiver { handler, waker, .. }) = receiver else { return };
        handler.iter().for_each(SignalHandler::remove);
        discard(waker, WHAT);
    }

    /// The loop has ended: everybody is woken, and finds an error.
    pub(crate) fn end(&self) {
        let receivers = self.table.take().into_values();
        receivers.filter_map(|receiver| receiver.waker).for_each(|waker| wake(waker, WHAT));
        let interrupts = self.interrupts.take();
        interrupts.into_wakers().for_each(|waker| wake(waker, WHAT));
    }
}

/// Begins to watch a signal, on the loop that runs here.
///
/// From now on each `signal` that the process gets is told, and does nothing else; [`Handle::on_signal`] says what is
/// there to know about that. It does not keep the loop alive.
///
/// ```no_run
/// use marline_tasks::signal;
/// use marline_reactor::SignalKind;
///
/// # fn read_configuration() {}
/// async fn reload() -> Result<(), Box<dyn std::error::Error>> {
///     let mut hangups = signal(SignalKind::HANGUP)?;
///     loop {
///         hangups.recv().await?;
///         read_configuration();
///     }
/// }
/// ```
///
/// # Errors
///
/// As [`Handle::on_signal`]; also without a loop.
#[track_caller]
pub fn signal(signal: SignalKind) -> Result<Signals, SignalError> {
    let handle = Handle::current().map_err(|_| SignalError::NotInLoop)?;
    let local = Local::of(&handle).ok_or(SignalError::Over)?;
    let receiver = Receiver { handler: None, came: false, waker: None };
    let key = local.waiting.table.borrow_mut().insert(receiver);
    // From here on a drop tidies up.
    let signals = Signals { remote: handle.remote(), key, signal };
    let weak = Rc::downgrade(&local);
    let handler = handle.on_signal(signal, move || {
        if let Some(local) = Weak::upgrade(&weak) {
            local.waiting.came(key);
        }
    })?;
    local.waiting.with(key, |receiver| receiver.handler = Some(handler));
    Ok(signals)
}

/// The signals of one kind, made by [`signal`].
///
/// It is plain data, `Send` and `Sync`, and belongs to its loop as a [`Stream`](crate::Stream) does. Dropping it watches no
/// more. It is a stream, in the sense of `futures`, too: one that ends with the loop.
pub struct Signals {
    remote: Remote,
    key: TableKey,
    signal: SignalKind,
}

impl Signals {
    /// Waits for the next signal. Those that came since the last one that was told count as one.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    ///
    /// # Cancellation
    ///
    /// A signal that a dropped future did not return is returned next time.
    pub fn recv(&mut self) -> impl Future<Output = io::Result<()>> + Send + Sync {
        poll_fn(|context| self.poll_recv(context))
    }

    /// As [`recv`](Self::recv), for whoever writes futures by hand. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(local) = Local::find(&self.remote) else {
            return Poll::Ready(Err(WrongThread::of("a signal", &self.remote, None).into()));
        };
        let polled = attempt(context, WHAT, |visitor| {
            let step = local.waiting.with(self.key, |receiver| {
                if std::mem::take(&mut receiver.came) {
                    return Some(Poll::Ready(()));
                }
                visitor.keep_in(&mut receiver.waker).map(|()| Poll::Pending)
            });
            // Without a receiver there is nothing to wait for.
            step.map_or(Some(None), |step| step.map(Some))
        });
        match polled {
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Some(polled) => polled.map(Ok),
        }
    }

    /// Which signal it tells of.
    #[must_use]
    pub fn kind(&self) -> SignalKind {
        self.signal
    }
}

impl futures_core::Stream for Signals {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_recv(context).map(Result::ok)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        on_loop(&self.remote, self.key, |local, key| local.waiting.remove(key));
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signals({})", self.signal)
    }
}
