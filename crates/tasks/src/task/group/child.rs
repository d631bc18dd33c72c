//! The future around a child's.

use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use marline_reactor::Handle;
use pin_project_lite::pin_project;

use super::state::{Birth, Cause, Shared};
use crate::task::contain;
use crate::task::live::Name;
use crate::task::spawn_at;

pin_project! {
    /// Tells the group how the child ended, when the child's own future is dropped.
    struct Child<F, T: 'static, E: 'static> {
        // `None` when it has ended.
        #[pin]
        future: Option<F>,
        shared: Arc<Shared<T, E>>,
        index: usize,
    }

    impl<F, T: 'static, E: 'static> PinnedDrop for Child<F, T, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_none() {
                return;
            }
            let cause = match contain(|| this.future.set(None)) {
                Ok(()) => Cause::Cancelled,
                Err(panic) => Cause::Panicked(panic),
            };
            this.shared.ended(*this.index, Err(cause));
        }
    }
}

impl<F, T, E> Future for Child<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let polled = contain(|| this.future.as_mut().as_pin_mut().map(|future| future.poll(context)));
        let result = match polled {
            Ok(Some(polled)) => ready!(polled).map_err(Cause::Failed),
            // A task is not polled after its end.
            Ok(None) => return Poll::Ready(()),
            Err(panic) => Err(Cause::Panicked(panic)),
        };
        let result = match contain(|| this.future.set(None)) {
            Ok(()) => result,
            // The first panic is the one that is told of.
            Err(_) if matches!(result, Err(Cause::Panicked(_))) => result,
            Err(panic) => {
                drop(contain(move || drop(result)));
                Err(Cause::Panicked(panic))
            }
        };
        this.shared.ended(*this.index, result);
        Poll::Ready(())
    }
}

/// Starts a child: its number. The future comes back if no child may begin any more.
pub(super) fn start<F, T, E>(
    shared: &Arc<Shared<T, E>>,
    future: F,
    place: &'static Location<'static>,
    name: Option<Name>,
    handle: Option<&Handle>,
) -> Result<usize, F>
where
    F: Future<Output = Result<T, E>> + 'static,
    T: 'static,
    E: 'static,
{
    let birth = Birth::new(place, name.clone(), handle);
    let Some(index) = shared.admit(birth) else { return Err(future) };
    let child = Child { future: Some(future), shared: Arc::clone(shared), index };
    shared.started(index, spawn_at(handle, child, place, name));
    Ok(index)
}
