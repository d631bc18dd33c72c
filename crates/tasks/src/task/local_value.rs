//! Values of a task's own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread::LocalKey;

use pin_project_lite::pin_project;

/// Declares [`TaskLocal`] values, as statics.
///
/// ```
/// use marline_tasks::{task_local, yield_now};
///
/// task_local! {
///     /// The number of the request that is being answered.
///     static REQUEST: u32;
/// }
///
/// async fn log(what: &str) -> String {
///     yield_now().await;
///     REQUEST.with(|request| format!("{what}, in request {request:?}"))
/// }
///
/// marline_tasks::run(async {
///     assert_eq!(REQUEST.scope(7, log("begun")).await, "begun, in request Some(7)");
///     assert_eq!(log("outside").await, "outside, in request None");
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty;)*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::task::TaskLocal<$type> = {
            ::std::thread_local! {
                static PLACE: $crate::task::LocalPlace<$type> = const { $crate::task::LocalPlace::new() };
            }
            $crate::task::TaskLocal::new(&PLACE)
        };
    )*};
}

/// A value that a future and all that it calls can see, and nobody else: what a thread-local is to a thread. Made by
/// [`task_local!`](crate::task_local!).
///
/// The value belongs to a future, not to a whole task. What that future awaits sees it, with combinators too; a **task that it
/// spawns does not**, nor does a child of a [`TaskGroup`](crate::TaskGroup) or what a [`shield`](crate::shield) goes on with.
/// Give it to them by name: `spawn(REQUEST.scope(request, future))`. A [`scope`](Self::scope) inside of another hides the outer
/// value until it ends. Destructors of what the future holds see the value.
///
/// The value moves with its future, so a future in a scope is `Send` where both are; the value need not be `Sync`, and may be a
/// `RefCell`. Tasks that use none pay nothing. It needs no loop.
pub struct TaskLocal<T: 'static> {
    place: &'static LocalKey<LocalPlace<T>>,
}

/// Where a thread keeps the value of a [`TaskLocal`] while its future is polled; [`task_local!`](crate::task_local!) makes it.
///
/// Scopes nest as calls do, and each level has a slot of its own: while somebody looks at one value, an inner scope puts
/// another beside it. The slots are made once and used again.
pub struct LocalPlace<T> {
    slots: RefCell<Vec<Slot<T>>>,
    /// How many of them are in use.
    depth: Cell<usize>,
}

type Slot<T> = Rc<RefCell<Option<T>>>;

impl<T> LocalPlace<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: RefCell::new(Vec::new()), depth: Cell::new(0) }
    }

    fn innermost(&self) -> Option<Slot<T>> {
        let last = self.depth.get().checked_sub(1)?;
        self.slots.borrow().get(last).cloned()
    }

    /// A slot for one level more.
    fn push(&self) -> Slot<T> {
        let (depth, mut slots) = (self.depth.get(), self.slots.borrow_mut());
        self.depth.set(depth + 1);
        if slots.len() == depth {
            slots.push(Rc::default());
        }
        Rc::clone(&slots[depth])
    }
}

impl<T> Default for LocalPlace<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TaskLocal<T> {
    /// The value that is kept in this place, which no other may use.
    #[must_use]
    pub const fn new(place: &'static LocalKey<LocalPlace<T>>) -> Self {
        Self { place }
    }

    /// Runs `future` with this value. Dropping what is returned drops the future and the value.
    pub fn scope<F: IntoFuture>(&'static self, value: T, future: F) -> Scoped<T, F::IntoFuture> {
        Scoped { future: Some(future.into_future()), value: Some(value), local: self }
    }

    /// Calls `call` with this value.
    pub fn sync_scope<R>(&'static self, value: T, call: impl FnOnce() -> R) -> R {
        self.enter(&mut Some(value), call)
    }

    /// Looks at the value, or at `None` outside of any scope.
    pub fn with<R>(&'static self, look: impl FnOnce(Option<&T>) -> R) -> R {
        match self.current() {
            Some(slot) => look(slot.borrow().as_ref()),
            None => look(None),
        }
    }

    /// Looks at the value.
    ///
    /// # Errors
    ///
    /// Outside of any scope. `look` is not called then.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, NotInScope> {
        let slot = self.current().ok_or(NotInScope(()))?;
        let value = slot.borrow();
        value.as_ref().map(look).ok_or(NotInScope(()))
    }

    /// A copy of the value.
    ///
    /// # Errors
    ///
    /// Outside of any scope.
    pub fn get(&'static self) -> Result<T, NotInScope>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    /// A thread that ends has no place any more.
    fn current(&'static self) -> Option<Slot<T>> {
        self.place.try_with(LocalPlace::innermost).ok().flatten()
    }

    /// Has the value seen while `call` runs.
    fn enter<R>(&'static self, value: &mut Option<T>, call: impl FnOnce() -> R) -> R {
        let slot = self.place.try_with(LocalPlace::push).ok();
        if let Some(slot) = &slot {
            *slot.borrow_mut() = value.take();
        }
        let _entered = Entered { slot, home: value, local: self };
        call()
    }
}

/// While it lives, a value can be seen. Then it goes back to where it came from.
struct Entered<'a, T: 'static> {
    slot: Option<Slot<T>>,
    home: &'a mut Option<T>,
    local: &'static TaskLocal<T>,
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        // Whoever looked at it was called within this scope, and is done.
        if let Some(slot) = &self.slot {
            *self.home = slot.take();
            _ = self.local.place.try_with(|place| place.depth.set(place.depth.get() - 1));
        }
    }
}

impl<T> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocal").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LocalPlace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPlace").finish_non_exhaustive()
    }
}

/// A task-local value was asked for outside of any [scope](TaskLocal::scope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task-local value was asked for outside of its scope")]
pub struct NotInScope(());

pin_project! {
    /// The future of [`TaskLocal::scope`]. Polled again after its end, it is pending for ever.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Scoped<T: 'static, F> {
        #[pin]
        future: Option<F>,
        // None while the future is polled.
        value: Option<T>,
        local: &'static TaskLocal<T>,
    }

    impl<T: 'static, F> PinnedDrop for Scoped<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.local.enter(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F: Future> Future for Scoped<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.local.enter(this.value, || {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            let polled = future.poll(context);
            if polled.is_ready() {
                this.future.set(None);
            }
            polled
        })
    }
}

impl<T: 'static, F> fmt::Debug for Scoped<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}
