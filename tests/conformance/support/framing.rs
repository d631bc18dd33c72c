//! Messages, and protocols of frames that write down what they get.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::framing::{Encode, Feed, FrameProtocol, Rest};
use marline_reactor::{Lost, OnEof, Transport};

use super::world::World;

/// A parser of messages that are bytes, which can also send them.
pub trait Framing: for<'a> Feed<Frame<'a> = &'a [u8]> + Encode<Item = [u8]> + 'static {}

impl<F: for<'a> Feed<Frame<'a> = &'a [u8]> + Encode<Item = [u8]> + 'static> Framing for F {}

/// Messages of many lengths, of letters, together about as many bytes as suit the world.
pub fn messages(world: &World) -> Vec<Vec<u8>> {
    let (mut messages, mut total, wanted) = (Vec::new(), 0, world.payload().len());
    let lengths = [0, 1, 5, 100, 2, 700, 30, 255, 1, 3000, 64];
    for length in lengths.into_iter().cycle() {
        if total >= wanted {
            break;
        }
        messages.push((0..length).map(|index| b'a' + ((total + index) % 26) as u8).collect());
        total += length + 1;
    }
    messages
}

/// The messages, one behind the other, as the parser finds them.
pub fn encoded<F: Framing>(framing: &F, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        framing.encode(message, &mut bytes).expect("messages that can be sent");
    }
    bytes
}

type OnFrame = Box<dyn FnMut(&Transport, &[u8], &mut Rest<'_>)>;
type OnRefused<E> = Box<dyn FnMut(&Transport, E)>;

/// What a session got. Clones share it.
#[derive(Clone, Default)]
pub struct Got {
    pub frames: Rc<RefCell<Vec<Vec<u8>>>>,
    pub raw: Rc<RefCell<Vec<u8>>>,
    pub unfinished: Rc<RefCell<Option<Vec<u8>>>>,
    pub lost: Rc<RefCell<Option<Lost>>>,
    pub is_raw: Rc<Cell<bool>>,
}

impl Got {
    pub fn count(&self) -> usize {
        self.frames.borrow().len()
    }

    pub fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// The error that the connection failed with.
    #[track_caller]
    pub fn failure<E: std::error::Error + Clone + 'static>(&self) -> E {
        let lost = self.lost.borrow();
        let reason = lost.as_ref().expect("a loss").reason();
        let marline_reactor::Reason::Failed(error) = reason else { panic!("{reason:?}") };
        error.downcast_ref::<E>().expect("an error of the parser's").clone()
    }
}

/// A protocol that writes frames down, and then calls what the test gave it.
pub struct Session<F: Framing> {
    got: Got,
    on_frame: OnFrame,
    on_refused: Option<OnRefused<<F as Feed>::Error>>,
}

impl<F: Framing> Session<F> {
    pub fn new(got: &Got) -> Self {
        Self { got: got.clone(), on_frame: Box::new(|_, _, _| {}), on_refused: None }
    }

    pub fn on_frame(mut self, hook: impl FnMut(&Transport, &[u8], &mut Rest<'_>) + 'static) -> Self {
        self.on_frame = Box::new(hook);
        self
    }

    pub fn on_refused(mut self, hook: impl FnMut(&Transport, <F as Feed>::Error) + 'static) -> Self {
        self.on_refused = Some(Box::new(hook));
        self
    }
}

impl<F: Framing> FrameProtocol for Session<F> {
    type Parser = F;

    fn frame_received(&mut self, _: &Transport, _: &[u8]) {
        unreachable!("the other method is there");
    }

    fn frame_received_with_rest(&mut self, transport: &Transport, frame: &[u8], rest: &mut Rest<'_>) {
        assert!(!self.got.is_lost());
        self.got.frames.borrow_mut().push(frame.to_vec());
        (self.on_frame)(transport, frame, rest);
    }

    fn frame_refused(&mut self, transport: &Transport, error: <F as Feed>::Error) {
        match &mut self.on_refused {
            Some(hook) => hook(transport, error),
            None => transport.fail(error),
        }
    }

    fn is_raw(&self) -> bool {
        self.got.is_raw.get()
    }

    fn raw_received(&mut self, _: &Transport, data: &[u8]) {
        assert!(!data.is_empty());
        self.got.raw.borrow_mut().extend_from_slice(data);
    }

    fn eof_received(&mut self, _: &Transport, unfinished: &[u8]) -> OnEof {
        *self.got.unfinished.borrow_mut() = Some(unfinished.to_vec());
        OnEof::Close
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        *self.got.lost.borrow_mut() = Some(lost.clone());
    }
}
