//! The combinators of the crate `futures`, for runtimes that have none of their own.

use futures::future::{select, select_all, try_join_all};
use marline_bench::micro::parts::Late;

pub(crate) async fn gather(count: u64) -> Vec<u64> {
    try_join_all((0..count).map(Late::one)).await.unwrap_or_default()
}

pub(crate) async fn select_two() -> u64 {
    let (Ok(first), _) = select(Late::one(1), Late::never()).await.factor_first();
    first
}

pub(crate) async fn select_many(count: u64) -> u64 {
    let (Ok(first), ..) = select_all(Late::crowd(count)).await;
    first
}
