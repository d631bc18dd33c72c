//! Values that belong to a loop, one of each type.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Locals {
    /// In the order of making. Few, so a list is faster than a map.
    values: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
}

impl Locals {
    #[inline]
    pub(super) fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let wanted = TypeId::of::<T>();
        let values = self.values.borrow();
        let (_, value) = values.iter().find(|(kind, _)| *kind == wanted)?;
        Rc::clone(value).downcast().ok()
    }

    /// Keeps the value, unless one of its type came first (while it was being made).
    pub(super) fn insert<T: 'static>(&self, value: Rc<T>) -> Rc<T> {
        if let Some(first) = self.get() {
            return first;
        }
        let kept: Rc<dyn Any> = Rc::<T>::clone(&value);
        self.values.borrow_mut().push((TypeId::of::<T>(), kept));
        value
    }

    /// The value that was made last.
    pub(super) fn pop(&self) -> Option<Rc<dyn Any>> {
        self.values.borrow_mut().pop().map(|(_, value)| value)
    }
}
