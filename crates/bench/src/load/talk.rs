//! Connections that stay, each with several requests under way: whenever some were answered, as many are sent, in one piece.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use super::dial::dial;
use super::echo::SCRATCH;
use super::meter::Meter;
use super::plan::{Line, Plan, Report};
use super::script::Script;
use super::wait::wait;

struct Talker {
    stream: TcpStream,
    /// What is sent only in part.
    unsent: VecDeque<u8>,
    /// The answers to everything that was asked, and where each ends, counted from the first byte that is missing.
    expected: VecDeque<u8>,
    ends: VecDeque<usize>,
}

pub(super) fn run(plan: &Plan, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut poll = Poll::new()?;
    let script = Script::new(plan);
    let mut scratch = vec![0; SCRATCH];
    let mut meter = Meter::new(plan, tell);
    let mut talkers = Vec::new();
    for index in 0..plan.connections {
        talkers.push(Talker::new(dial(plan.port, &poll, Token(index))?));
    }
    for talker in &mut talkers {
        talker.ask(plan.depth, &script, &mut meter)?;
    }
    let mut events = Events::with_capacity(1024);
    loop {
        if let Some(report) = meter.finished() {
            return Ok(report);
        }
        meter.was_idle(wait(&mut poll, &mut events, plan.spin)?);
        for event in &events {
            let talker = &mut talkers[event.token().0];
            talker.send()?;
            let answered = talker.receive(&mut meter, &mut scratch)?;
            talker.ask(answered, &script, &mut meter)?;
        }
    }
}

impl Talker {
    fn new(stream: TcpStream) -> Self {
        Self { stream, unsent: VecDeque::new(), expected: VecDeque::new(), ends: VecDeque::new() }
    }

    /// Asks so many times more, if so many are still wanted.
    fn ask(&mut self, times: usize, script: &Script, meter: &mut Meter<'_>) -> io::Result<()> {
        let (mut asked, mut answer) = (Vec::new(), Vec::new());
        for number in (0..times).map_while(|_| meter.begin()) {
            script.ask(number, &mut asked);
            answer.clear();
            script.answer(number, &mut answer);
            self.expected.extend(&answer);
            self.ends.push_back(self.expected.len());
        }
        self.unsent.extend(&asked);
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.make_contiguous()) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives what is there, and tells how many answers are complete with it. Events are for edges, so it reads until the
    /// socket is empty.
    fn receive(&mut self, meter: &mut Meter<'_>, scratch: &mut [u8]) -> io::Result<usize> {
        let mut answered = 0;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within an answer")),
                Ok(count) => {
                    for _ in 0..self.check(&scratch[..count])? {
                        meter.end()?;
                        answered += 1;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answered),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Compares every byte, and tells how many answers end with them.
    fn check(&mut self, received: &[u8]) -> io::Result<usize> {
        let expected = self.expected.make_contiguous().get(..received.len());
        if expected != Some(received) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not that to the request"));
        }
        self.expected.drain(..received.len());
        let complete = self.ends.iter().take_while(|end| **end <= received.len()).count();
        self.ends.drain(..complete);
        self.ends.iter_mut().for_each(|end| *end -= received.len());
        Ok(complete)
    }
}
