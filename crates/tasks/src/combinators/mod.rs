//! Waiting for several futures at once, under any executor.
//!
//! Nothing in here knows of a reactor or spawns a task: a combinator is a future that polls others.
//!
//! | to wait for               | an iterator      | a list of different futures |
//! |---------------------------|------------------|-----------------------------|
//! | all, until one fails      | [`gather()`]     | [`gather!`](crate::gather!) |
//! | all, whatever they become | [`settle()`]     | [`settle!`](crate::settle!) |
//! | the first                 | [`race()`]       | [`select!`](crate::select!) |
//!
//! - `gather`, `settle` and `race` say what each call promises.
//! - `select` polls futures of different types and leads to the code for the first one; `one_of` names it.
//! - `wakes` finds out which children were woken, so that a poll costs what happened, not what is waited for;
//!   `block` is the memory that their wakers share.
//! - `crowd` holds any number of futures of one type, `tuple` a few of different types, each in a `slot`.
//! - `fairness` is the source of the random order in which rivals are polled.
//!
//! Dropping a combinator drops all its futures, which is how to cancel it. One that has resolved is pending
//! for ever when it is polled again. A panic of a future reaches whoever polls the combinator, and harms none
//! of its siblings.

mod block;
mod crowd;
mod fairness;
mod gather;
mod one_of;
mod race;
mod select;
mod settle;
mod slot;
mod tuple;
mod wakes;

pub use gather::{Gather, GatherError, GatherTuple, gather, gather_tuple};
pub use one_of::{Alternatives, OneOf2, OneOf3, OneOf4, OneOf5, OneOf6, OneOf7, OneOf8};
pub use race::{Race, race};
pub use select::{Select, select};
pub use settle::{Settle, SettleTuple, settle, settle_tuple};
pub use tuple::{
    FallibleFutures, FutureTuple, Futures, Futures1, Futures2, Futures3, Futures4, Futures5, Futures6,
    Futures7, Futures8, Futures9, Futures10, Futures11, Futures12,
};
