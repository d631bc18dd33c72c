use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

#[test]
fn a_burst_passes_and_then_the_rate_counts() {
    let mut bucket = Bucket::new(1000, 500);
    assert_eq!(bucket.take(500, at(10_000)), None);
    assert_eq!(bucket.take(100, at(10_000)), Some(Duration::from_millis(100)));
    // Exactly paid, and nothing more.
    assert_eq!(bucket.take(1, at(10_100)), Some(Duration::from_millis(1)));
    // Two seconds would make 2000, and no more than the burst is kept.
    assert_eq!(bucket.take(500, at(12_101)), None);
    assert_eq!(bucket.take(1, at(12_101)), Some(Duration::from_millis(1)));
}

#[test]
fn parts_of_a_byte_are_neither_lost_nor_given_away() {
    // Three bytes in a second, looked at every 100 ms.
    let mut bucket = Bucket::new(3, 0);
    let (mut passed, mut free_at) = (0, 0);
    for step in 0..10_000 {
        let now = step * 100;
        if now >= free_at {
            let wait = bucket.take(1, at(now)).expect("no burst");
            free_at = now + u64::try_from(wait.as_millis()).expect("a short wait");
            passed += 1;
        }
    }
    // A wait of 333 ms ends at the next look, after 400: time that was not used is kept only up to the burst, which is 0.
    assert!((2500..=3001).contains(&passed), "{passed}");
}

#[test]
fn extremes_do_not_overflow() {
    let mut bucket = Bucket::new(0, 0);
    assert_eq!(bucket.take(u64::MAX, Instant::FAR), Some(Duration::from_nanos(u64::MAX)));
    assert!(bucket.take(u64::MAX, Instant::FAR).is_some());
    let mut bucket = Bucket::new(u64::MAX, u64::MAX);
    assert_eq!(bucket.take(u64::MAX, Instant::ZERO), None);
    assert_eq!(bucket.take(u64::MAX, Instant::FAR), None);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever waits as told gets no more than the burst and the rate, over any span of time, and one take.
        #[test]
        fn no_more_than_the_rate(
            (rate, burst) in (1..100_000_u64, 0..10_000_u64),
            takes in prop::collection::vec((1..5000_u64, prop_oneof![Just(0), 0..1_000_000_000_u64]), 1..60),
        ) {
            let mut bucket = Bucket::new(rate, burst);
            let mut now = 0_u64;
            let mut all = Vec::new();
            for (bytes, idle) in takes {
                now += idle;
                all.push((now, u128::from(bytes)));
                let wait = bucket.take(bytes, Instant::from_nanos(now));
                now += wait.map_or(0, |wait| u64::try_from(wait.as_nanos()).unwrap_or(0));
            }
            for first in 0..all.len() {
                let mut passed = 0;
                for (at, bytes) in &all[first..] {
                    let grown = (u128::from(at - all[first].0) * u128::from(rate)).div_ceil(SECOND);
                    prop_assert!(passed <= u128::from(burst) + grown, "{passed} from {first} to {at}");
                    passed += bytes;
                }
            }
        }
    }
}
