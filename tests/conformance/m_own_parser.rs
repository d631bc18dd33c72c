//! M: a program's own parser, with frames of a type of its own, is driven as those that come with Marline.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::Transport;
use marline_reactor::framing::{Encode, Feed, FrameProtocol, Frames, Rest};
use marline_tasks::{Framed, FramedError};

use crate::streams;
use crate::support::World;

/// Finds big-endian numbers of four bytes. The highest one is reserved.
#[derive(Default)]
struct Numbers {
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reserved;

impl std::fmt::Display for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the number is reserved")
    }
}

impl std::error::Error for Reserved {}

impl Feed for Numbers {
    type Frame<'a> = u32;
    type Error = Reserved;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<u32>, Reserved> {
        let missing = 4_usize.saturating_sub(self.kept.len()).min(input.len());
        let (front, behind) = input.split_at(missing);
        self.kept.extend_from_slice(front);
        *input = behind;
        let Some(bytes) = self.kept.first_chunk() else { return Ok(None) };
        let number = u32::from_be_bytes(*bytes);
        self.kept.drain(..4);
        if number == u32::MAX { Err(Reserved) } else { Ok(Some(number)) }
    }

    fn keep(&mut self, input: &[u8]) {
        self.kept.extend_from_slice(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }
}

impl Encode for Numbers {
    type Item = u32;
    type Error = Reserved;

    fn encode(&self, number: &u32, into: &mut Vec<u8>) -> Result<(), Reserved> {
        if *number == u32::MAX {
            return Err(Reserved);
        }
        into.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }
}

/// Takes numbers down, pauses now and then, and ends with a zero, behind which anything may come.
struct Sum {
    numbers: Rc<RefCell<Vec<u32>>>,
    behind: Rc<RefCell<Option<Vec<u8>>>>,
}

impl FrameProtocol for Sum {
    type Parser = Numbers;

    fn frame_received(&mut self, transport: &Transport, number: u32) {
        self.numbers.borrow_mut().push(number);
        if number % 7 == 0 {
            transport.pause_reading();
            let other = transport.clone();
            transport.handle().call_soon(move || other.resume_reading());
        }
    }

    fn frame_received_with_rest(&mut self, transport: &Transport, number: u32, rest: &mut Rest<'_>) {
        if number > 0 {
            return self.frame_received(transport, number);
        }
        *self.behind.borrow_mut() = Some(rest.take().to_vec());
        transport.close();
    }
}

fn numbers(world: &World) -> Vec<u32> {
    (1..=world.payload().len() as u32 / 8).collect()
}

fn encoded(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

streams! {
    fn m01_m02_m03_m09_in_callbacks(world: &World) {
        let (seen, behind) = (Rc::<RefCell<Vec<u32>>>::default(), Rc::default());
        let protocol = Sum { numbers: Rc::clone(&seen), behind: Rc::clone(&behind) };
        let (transport, raw) = world.accept_one(Frames(protocol));
        let numbers = numbers(world);
        world.write(&raw, &encoded(&numbers));
        world.write(&raw, b"\0\0\0\0rest");
        world.until(|| transport.is_closing());
        raw.close();
        world.until(|| behind.borrow().is_some());
        assert!(*seen.borrow() == numbers, "the numbers differ");
        assert!(b"rest".starts_with(&behind.borrow().clone().expect("what was there")));
    }

    fn m01_in_async_code(world: &World) {
        let (stream, raw) = world.stream();
        let numbers = numbers(world);
        let count = numbers.len();
        let task = world.spawn(async move {
            let (mut framed, mut seen) = (Framed::new(stream, Numbers::default()), Vec::new());
            while seen.len() < count {
                seen.push(framed.try_next().await.expect("good numbers").expect("a number"));
            }
            // An error that the parser can go on after, and then the end within a number.
            assert!(matches!(framed.try_next().await, Err(FramedError::Frame(Reserved))));
            assert_eq!(framed.try_next().await.expect("a good number"), Some(5));
            let Err(FramedError::Unfinished(rest)) = framed.try_next().await else { panic!("an end") };
            assert_eq!(rest, b"\0\0");
            assert_eq!(framed.try_next().await.expect("the end"), None);
            framed.send(&7).await.expect("an open direction");
            assert!(framed.send(&u32::MAX).await.is_err());
            framed.close().await.expect("an open direction");
            seen
        });
        world.write(&raw, &encoded(&numbers));
        world.write(&raw, &encoded(&[u32::MAX, 5]));
        world.write(&raw, b"\0\0");
        raw.finish();
        assert!(world.join(task) == numbers, "the numbers differ");
        assert_eq!(world.read(&raw, 4), 7_u32.to_be_bytes());
    }
}
