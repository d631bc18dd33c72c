use super::*;

/// N01
#[test]
fn another_thread_ends_a_wait_without_end() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        waker.wake();
    });
    rig.backend.wait(FOREVER).unwrap();
    assert!(rig.backend.next().is_none());
    other.join().unwrap();
    assert_eq!(rig.backend.system_calls().waits, 1);
}

#[test]
fn a_wake_up_before_the_wait_ends_it_and_every_one_counts_anew() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    for _ in 0..3 {
        waker.wake();
        waker.wake();
        rig.backend.wait(FOREVER).unwrap();
    }
    let before = rig.backend.now();
    rig.backend.wait(until(before + Duration::from_millis(5))).unwrap();
    assert!(rig.backend.now() >= before + Duration::from_millis(5), "no wake-up is left over");
}

#[test]
fn a_waker_outlives_its_loop() {
    let waker = Rig::new().backend.waker();
    waker.wake();
}

/// T14
#[test]
fn a_wait_shorter_than_the_resolution_neither_spins_nor_ends_early() {
    let mut rig = Rig::new();
    for micros in [1, 300, 999, 1500] {
        let moment = rig.backend.now() + Duration::from_micros(micros);
        rig.backend.wait(until(moment)).unwrap();
        assert!(rig.backend.now() >= moment);
    }
    assert_eq!(rig.backend.system_calls().waits, 4);
}

#[test]
fn a_moment_that_has_passed_asks_for_no_sleep() {
    let mut rig = Rig::new();
    rig.backend.wait(until(Instant::ZERO)).unwrap();
    assert!(rig.backend.next().is_none());
}

/// T22
#[test]
fn events_that_nobody_asked_for_yet_survive_a_wait_and_forbid_sleeping() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    let _peer = TcpStream::connect(address).unwrap();
    rig.backend.wait(FOREVER).unwrap();
    rig.backend.wait(FOREVER).unwrap();
    assert!(matches!(rig.backend.next(), Some(Completion::Input(key)) if key == listener));
    assert!(rig.backend.next().is_none());
}

#[test]
fn construction_is_counted_too() {
    let expected = SystemCalls { others: 2, registrations: 1, ..SystemCalls::default() };
    assert_eq!(Rig::new().backend.system_calls(), expected);
}
