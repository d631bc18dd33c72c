//! A far end that speaks TLS, step by step as the test says.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::rc::Rc;

use marline_tls::TlsVersion;
use marline_tls::rustls::pki_types::ServerName;
use marline_tls::rustls::{ClientConnection, Connection, Error, ServerConnection};

use super::begin::Side;
use super::config::{NAME, Setup};
use super::far::Far;

/// The most plaintext that is encrypted before the records before it have gone.
const AT_A_TIME: usize = 16 * 1024;

/// A peer whose TLS the test plays over the bytes of a far end. It does nothing but in its methods, and answers no
/// close_notify unless it was told to.
pub struct Party {
    below: Rc<dyn Far>,
    tls: RefCell<Connection>,
    /// Bytes for our side for which there was no room yet.
    outgoing: RefCell<Vec<u8>>,
    plaintext: RefCell<Vec<u8>>,
    error: RefCell<Option<Error>>,
    has_heard_goodbye: Cell<bool>,
    answers: Cell<bool>,
    /// How many bytes it sends at a time.
    pace: Cell<usize>,
    ends: Cell<bool>,
}

impl Party {
    /// The peer of a side, over a far end.
    pub fn opposite(side: Side, version: TlsVersion, setup: &Setup, below: Rc<dyn Far>) -> Self {
        let mut tls = match side {
            Side::Server => {
                let name = ServerName::try_from(NAME).expect("a name");
                let client = ClientConnection::new(setup.client_config(version), name);
                Connection::from(client.expect("a client"))
            }
            Side::Client => Connection::from(ServerConnection::new(setup.server_config()).expect("a server")),
        };
        tls.set_buffer_limit(None);
        Self {
            below,
            tls: RefCell::new(tls),
            outgoing: RefCell::default(),
            plaintext: RefCell::default(),
            error: RefCell::default(),
            has_heard_goodbye: Cell::new(false),
            answers: Cell::new(false),
            pace: Cell::new(usize::MAX),
            ends: Cell::new(false),
        }
    }

    /// From now on it answers our close_notify at once.
    pub fn answer(&self) {
        self.answers.set(true);
    }

    /// From now on it sends so many bytes at a time.
    pub fn set_pace(&self, bytes: usize) {
        self.pace.set(bytes);
    }

    pub fn below(&self) -> &Rc<dyn Far> {
        &self.below
    }

    /// Reads what came, and sends what there is: whether anything moved.
    pub fn pump(&self) -> bool {
        let bytes = self.below.read();
        self.feed(&bytes);
        let sent = self.flush();
        !bytes.is_empty() || sent > 0
    }

    /// Receives bytes that somebody else has read.
    pub fn feed(&self, mut bytes: &[u8]) {
        let mut tls = self.tls.borrow_mut();
        while !bytes.is_empty() && self.error.borrow().is_none() {
            if tls.read_tls(&mut bytes).is_ok_and(|count| count == 0) {
                break;
            }
            match tls.process_new_packets() {
                Ok(state) => self.has_heard_goodbye.set(state.peer_has_closed()),
                Err(error) => *self.error.borrow_mut() = Some(error),
            }
            // It ends with an error where there is no more now.
            drop(tls.reader().read_to_end(&mut self.plaintext.borrow_mut()));
        }
        if self.has_heard_goodbye.get() && self.answers.get() {
            tls.send_close_notify();
        }
    }

    fn flush(&self) -> usize {
        let mut outgoing = self.outgoing.borrow_mut();
        let mut tls = self.tls.borrow_mut();
        while tls.wants_write() {
            tls.write_tls(&mut *outgoing).expect("memory takes everything");
        }
        let part = outgoing.len().min(self.pace.get());
        let sent = self.below.write(&outgoing[..part]);
        outgoing.drain(..sent);
        if outgoing.is_empty() && self.ends.take() {
            self.below.finish();
        }
        sent
    }

    /// Sends plaintext; during the handshake, after it.
    pub fn say(&self, data: &[u8]) {
        self.tls.borrow_mut().writer().write_all(data).expect("memory takes everything");
        self.flush();
    }

    /// The records that plaintext becomes, which are not sent.
    pub fn records(&self, data: &[u8]) -> Vec<u8> {
        self.flush();
        let (mut tls, mut records) = (self.tls.borrow_mut(), Vec::new());
        tls.writer().write_all(data).expect("memory takes everything");
        while tls.wants_write() {
            tls.write_tls(&mut records).expect("memory takes everything");
        }
        records
    }

    /// What it would send now, which is somebody else's to send.
    pub fn take_outgoing(&self) -> Vec<u8> {
        let mut outgoing = self.outgoing.take();
        let mut tls = self.tls.borrow_mut();
        while tls.wants_write() {
            tls.write_tls(&mut outgoing).expect("memory takes everything");
        }
        outgoing
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        self.outgoing.borrow_mut().extend_from_slice(bytes);
        self.flush();
    }

    /// Whether everything is sent.
    pub fn has_sent_all(&self) -> bool {
        self.outgoing.borrow().is_empty()
    }

    /// Sends close_notify.
    pub fn say_goodbye(&self) {
        self.tls.borrow_mut().send_close_notify();
        self.flush();
    }

    /// Ends the stream below when everything is sent, without a close_notify.
    pub fn cut(&self) {
        self.ends.set(true);
        self.flush();
    }

    /// The plaintext that came.
    pub fn heard(&self) -> Vec<u8> {
        self.plaintext.borrow().clone()
    }

    pub fn has_heard(&self, count: usize) -> bool {
        self.plaintext.borrow().len() >= count
    }

    /// Whether our side sent close_notify.
    pub fn has_heard_goodbye(&self) -> bool {
        self.has_heard_goodbye.get()
    }

    /// What it refused, or what our side told it.
    pub fn error(&self) -> Option<Error> {
        self.error.borrow().clone()
    }

    pub fn is_shaking(&self) -> bool {
        self.tls.borrow().is_handshaking()
    }
}

impl Far for Party {
    fn write(&self, data: &[u8]) -> usize {
        let mut sent = 0;
        self.flush();
        while sent < data.len() && self.has_sent_all() && !self.is_shaking() {
            let part = &data[sent..data.len().min(sent + AT_A_TIME)];
            self.say(part);
            sent += part.len();
        }
        sent
    }

    fn read(&self) -> Vec<u8> {
        self.pump();
        self.plaintext.take()
    }

    fn is_finished(&self) -> bool {
        self.has_heard_goodbye.get() && self.plaintext.borrow().is_empty()
    }

    fn is_over(&self) -> bool {
        self.pump();
        self.below.is_over()
    }

    fn finish(&self) {
        self.tls.borrow_mut().send_close_notify();
        self.cut();
    }
}
