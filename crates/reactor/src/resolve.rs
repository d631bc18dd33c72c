//! Host names, looked up by a few threads of the loop's own, because the system's resolver blocks.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::key::Key;
use crate::reactor::Handle;
use crate::remote::Remote;

/// How many names are looked up at a time.
const THREADS: usize = 4;
/// How many more may wait.
const QUEUE: usize = 1024;

struct Question {
    host: String,
    port: u16,
    attempt: Key,
}

/// The threads, which are begun when first needed, and the number of questions they have not answered.
pub(crate) struct Resolver {
    remote: Remote,
    questions: Option<Sender<Question>>,
    /// Where new threads take their questions from.
    receiver: Option<Receiver<Question>>,
    threads: usize,
    open: usize,
}

impl Resolver {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote, questions: None, receiver: None, threads: 0, open: 0 }
    }

    /// Whether an answer is still to come.
    pub(crate) fn is_busy(&self) -> bool {
        self.open > 0
    }

    /// How many answers are still to come.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Asks for the addresses of a host. The answer goes to the loop.
    pub(crate) fn ask(&mut self, host: &str, port: u16, attempt: Key) -> io::Result<()> {
        let question = Question { host: host.to_owned(), port, attempt };
        let (sender, receiver) = self.channel();
        match sender.try_send(question) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "too many names are being looked up"));
            }
            Err(TrySendError::Disconnected(_)) => return Err(io::Error::other("the resolver has ended")),
        }
        self.open += 1;
        if self.threads < THREADS.min(self.open) {
            let remote = self.remote.clone();
            let begun = thread::Builder::new()
                .name("marline-resolver".to_owned())
                .spawn(move || answer_all(&receiver, &remote));
            match begun {
                Ok(_) => self.threads += 1,
                // With a thread at work the question waits for that one.
                Err(_) if self.threads > 0 => {}
                Err(error) => {
                    self.open -= 1;
                    self.end();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn channel(&mut self) -> (Sender<Question>, Receiver<Question>) {
        let (sender, receiver) = bounded(QUEUE);
        let sender = self.questions.get_or_insert(sender).clone();
        (sender, self.receiver.get_or_insert(receiver).clone())
    }

    /// Lets the threads end as soon as they have answered what they are asked now. Nobody waits for them: the system's
    /// resolver can take minutes.
    pub(crate) fn end(&mut self) {
        self.questions = None;
        self.receiver = None;
        self.threads = 0;
    }
}

fn answer_all(questions: &Receiver<Question>, remote: &Remote) {
    for Question { host, port, attempt } in questions {
        let result = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        let answered = remote.answer({
            let remote = remote.clone();
            move || {
                if let Some(handle) = remote.local() {
                    handle.looked_up(attempt, result);
                }
            }
        });
        if !answered {
            return;
        }
    }
}

impl Handle {
    fn looked_up(&self, attempt: Key, result: io::Result<Vec<SocketAddr>>) {
        self.shell().resolver.borrow_mut().open -= 1;
        self.shell().looked_up(attempt, result);
    }
}
