//! What a test writes down, in order.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::Handle;

/// Words in the order in which they were noted. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    words: Rc<RefCell<Vec<String>>>,
}

impl Notes {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&self, word: impl Into<String>) {
        self.words.borrow_mut().push(word.into());
    }

    /// A closure that notes this, for `call_soon` and the like.
    pub fn noting(&self, word: impl Into<String>) -> impl Fn() + 'static {
        let (notes, word) = (self.clone(), word.into());
        move || notes.add(word.clone())
    }

    pub fn all(&self) -> Vec<String> {
        self.words.borrow().clone()
    }

    pub fn len(&self) -> usize {
        self.words.borrow().len()
    }

    /// Where a word stands, counted from zero.
    #[track_caller]
    pub fn place(&self, word: &str) -> usize {
        let found = self.words.borrow().iter().position(|other| other == word);
        found.unwrap_or_else(|| panic!("{word:?} was not noted: {:?}", self.words.borrow()))
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.borrow().iter().any(|other| other == word)
    }
}

/// Where something happened: in which turn, and in which batch of the ready queue, both counted since the loop was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub turn: u64,
    pub batch: u64,
}

impl Moment {
    pub fn now(handle: &Handle) -> Self {
        let stats = handle.stats();
        Self { turn: stats.turns, batch: stats.batches }
    }
}
