//! The combinators and `Deferred`, under executors that know nothing of a loop.

mod deferred;
mod executors;
mod gather;
mod many;
mod panics;
mod race;
mod select;
mod settle;
mod support;
