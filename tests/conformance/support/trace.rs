//! A protocol that writes down what happens to it.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport};

/// One callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Made,
    /// So many bytes.
    Data(usize),
    Eof,
    Pause,
    Resume,
    Drained,
    PeerClosed,
    Established,
    /// The reason, as text of its variant.
    Lost(String),
}

/// What happened. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    events: Rc<RefCell<Vec<Event>>>,
    bytes: Rc<RefCell<Vec<u8>>>,
    lost: Rc<RefCell<Option<Lost>>>,
}

impl Log {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// All events, data included.
    pub fn all(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// The events apart from data.
    pub fn events(&self) -> Vec<Event> {
        self.events.borrow().iter().filter(|event| !matches!(event, Event::Data(_))).cloned().collect()
    }

    pub fn count(&self, wanted: &Event) -> usize {
        self.events.borrow().iter().filter(|event| *event == wanted).count()
    }

    /// Everything that was received.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }

    /// Adds to what was received.
    pub fn take_in(&self, data: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(data);
    }

    pub fn received(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// How the connection ended.
    pub fn lost(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }

    /// Notes how it ended, for protocols other than [`Trace`].
    pub fn lose(&self, lost: &Lost) {
        *self.lost.borrow_mut() = Some(lost.clone());
    }

    pub fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// How often it was told that the connection is lost.
    pub fn losses(&self) -> usize {
        self.events.borrow().iter().filter(|event| matches!(event, Event::Lost(_))).count()
    }

    /// The variant of the reason: `"Clean"`, `"Reset"`, `"Failed"`...
    pub fn reason(&self) -> Option<String> {
        self.lost().map(|lost| reason_name(&lost))
    }
}

type Hook = Box<dyn FnMut(&Transport, &Event, &[u8])>;

/// A protocol that logs, and then calls what the test gave it: with the event, and the bytes if it is data.
pub struct Trace {
    log: Log,
    on_eof: OnEof,
    hook: Option<Hook>,
}

impl Trace {
    pub fn new(log: &Log) -> Self {
        Self { log: log.clone(), on_eof: OnEof::Close, hook: None }
    }

    /// Keeps our direction open after the peer's end.
    pub fn keep_open(mut self) -> Self {
        self.on_eof = OnEof::KeepOpen;
        self
    }

    /// Calls `hook` inside every callback, after the event was logged.
    pub fn with(mut self, hook: impl FnMut(&Transport, &Event, &[u8]) + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Calls `hook` inside the callbacks that are this event (any data, if it is data).
    pub fn on(self, wanted: Event, mut hook: impl FnMut(&Transport) + 'static) -> Self {
        self.with(move |transport, event, _| {
            let same = std::mem::discriminant(event) == std::mem::discriminant(&wanted);
            if same {
                hook(transport);
            }
        })
    }

    fn happened(&mut self, transport: &Transport, event: &Event, data: &[u8]) {
        self.log.push(event.clone());
        self.log.bytes.borrow_mut().extend_from_slice(data);
        if let Some(hook) = &mut self.hook {
            hook(transport, event, data);
        }
    }
}

impl Protocol for Trace {
    fn connection_made(&mut self, transport: &Transport) {
        self.happened(transport, &Event::Made, &[]);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.happened(transport, &Event::Data(data.len()), data);
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        self.happened(transport, &Event::Eof, &[]);
        self.on_eof
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.happened(transport, &Event::Pause, &[]);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.happened(transport, &Event::Resume, &[]);
    }

    fn drained(&mut self, transport: &Transport) {
        self.happened(transport, &Event::Drained, &[]);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.happened(transport, &Event::PeerClosed, &[]);
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.happened(transport, &Event::Established, &[]);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.log.lose(lost);
        self.happened(transport, &Event::Lost(reason_name(lost)), &[]);
    }
}

/// The name of the variant of a reason.
pub fn reason_name(lost: &Lost) -> String {
    let text = format!("{:?}", lost.reason());
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
