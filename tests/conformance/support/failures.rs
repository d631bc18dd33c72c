//! What a loop reports that nobody else handles.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::Handle;

/// The texts of all failures that the loop reports from now on.
pub fn failures(handle: &Handle) -> Rc<RefCell<Vec<String>>> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&reports);
    handle.on_failure(move |failure| told.borrow_mut().push(failure.to_string()));
    reports
}
