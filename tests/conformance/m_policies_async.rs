//! M: policies around what async functions talk on.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::Addresses;
use marline_reactor::policy::{self, ConnectionLimit, IdleTimeout, RateLimit};
use marline_tasks::{Stream, conversation};

use crate::support::{World, pour};
use crate::{conformance, streams};

const IDLE: Duration = Duration::from_millis(80);

conformance! {
    fn m10_an_async_functions_stream_is_idle_too(world: &World) {
        let outcome = Rc::new(RefCell::new(None));
        let place = Rc::clone(&outcome);
        let talk = conversation(move |stream: Stream| {
            let place = Rc::clone(&place);
            async move {
                let mut byte = [0];
                let first = stream.read(&mut byte).await.map(|_| byte);
                let second = stream.read(&mut byte).await.map_err(|error| error.kind());
                *place.borrow_mut() = Some((first.ok(), second));
            }
        });
        let factory = policy::wrap(talk, |protocol| IdleTimeout::new(IDLE, protocol));
        let server = world.handle().listen(world.free_endpoint(), factory).expect("a listener");
        let raw = world.connect_raw(&server);
        raw.write(b"x");
        world.until(|| outcome.borrow().is_some());
        let (first, second) = outcome.take().expect("an outcome");
        // A machine that stands still for so long may end it before the byte was read.
        assert!(first == Some(*b"x") || !world.is_memory());
        assert_eq!(second, Err(ErrorKind::TimedOut));
        world.until(|| raw.is_finished() || raw.is_reset());
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn an_accepted_stream_may_carry_its_place_in_a_limit(world: &World) {
        let limit = ConnectionLimit::new().per_peer(1);
        let listener = world.listener();
        let address = listener.local_address().expect("an address");
        let kept = Rc::new(Cell::new(0));
        let (counted, ours) = (Rc::clone(&kept), limit.clone());
        let task = world.spawn(async move {
            for _ in 0..2 {
                let stream = listener.accept().await?;
                let addresses = Addresses { local: stream.local_address()?, peer: stream.peer_address()? };
                if let Some(admission) = ours.admit(&addresses) {
                    counted.set(counted.get() + 1);
                    stream.transport()?.attach(admission);
                    marline_tasks::spawn(async move { while stream.read(&mut [0]).await.is_ok_and(|count| count > 0) {} });
                }
            }
            std::io::Result::Ok(())
        });
        let raws = [world.connect_raw_to(address.clone()), world.connect_raw_to(address)];
        world.join(task).expect("two connections");
        assert_eq!((kept.get(), limit.connections(), limit.refused()), (1, 1, 1));
        raws.iter().for_each(|raw| raw.finish());
        world.until(|| limit.connections() == 0);
    }
}

streams! {
    fn a_rate_limit_and_a_streams_pauses_do_not_fight(world: &World) {
        let (payload, got) = (world.payload(), Rc::new(RefCell::new(Vec::new())));
        let size = payload.len() as u64;
        let (rate, burst) = (size * 10, size / 8);
        let place = Rc::clone(&got);
        let talk = conversation(move |stream: Stream| {
            let place = Rc::clone(&place);
            async move {
                let mut buffer = vec![0; 10_000];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    place.borrow_mut().extend_from_slice(&buffer[..count]);
                }
            }
        });
        let begun = world.handle().now();
        let factory = policy::wrap(talk, move |protocol| RateLimit::new(rate, burst, protocol));
        let server = world.handle().listen(world.free_endpoint(), factory).expect("a listener");
        let raw = world.connect_raw(&server);
        pour(world, &raw, &payload[..payload.len() - 1]);
        world.until(|| got.borrow().len() == payload.len() - 1);
        raw.write(&payload[payload.len() - 1..]);
        world.until(|| got.borrow().len() == payload.len());
        assert!(*got.borrow() == payload, "the bytes differ");
        // All but the last byte was paid for before that came.
        let (passed, owed) = (world.handle().now() - begun, size - 1 - burst);
        assert!(passed.as_nanos() * u128::from(rate) >= u128::from(owed) * 1_000_000_000, "only {passed:?}");
    }
}
