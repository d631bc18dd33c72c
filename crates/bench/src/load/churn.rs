//! Connections that come, exchange one message and go.
//!
//! Whoever ends a connection first keeps its pair of addresses for a minute (TIME_WAIT); that is the client here. The clients
//! therefore come from many addresses of the loopback network in turn, so that no address runs out of ports.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::channel::{Channel, Opener};
use super::echo::SCRATCH;
use super::exchange::Exchange;
use super::meter::Meter;
use super::pattern::Pattern;
use super::plan::{Close, Kind, Line, Plan, Report};
use super::wait::wait;

/// How many addresses the clients come from: with 28 000 ports each, enough for more than a million connections a minute.
const SOURCES: u64 = 64;

struct Visit {
    number: u64,
    channel: Channel,
    exchange: Exchange,
    /// Everything was answered, and the client waits for the server to close.
    ending: bool,
}

pub(super) fn run(plan: &Plan, close: Close, tell: &mut dyn FnMut(&Line)) -> io::Result<Report> {
    let mut poll = Poll::new()?;
    let opener = Opener::new(plan.tls_resumes)?;
    let pattern = Pattern::new(plan.size);
    let mut scratch = vec![0; SCRATCH];
    let mut meter = Meter::new(plan, tell);
    let mut visits = Vec::new();
    for index in 0..plan.connections {
        visits.push(begin(plan, &opener, &poll, &mut meter, index)?);
    }
    let mut events = Events::with_capacity(1024);
    loop {
        if let Some(report) = meter.finished() {
            return Ok(report);
        }
        meter.was_idle(wait(&mut poll, &mut events, plan.spin)?);
        for event in &events {
            let index = event.token().0;
            let Some(visit) = &mut visits[index] else { continue };
            if visit.advance(event, close, &pattern, &mut scratch)? {
                visit.check_resumption(plan)?;
                // Closed before the next one begins, so that as many are open at a time as were asked for.
                visits[index] = None;
                meter.end()?;
                visits[index] = begin(plan, &opener, &poll, &mut meter, index)?;
            }
        }
    }
}

fn begin(
    plan: &Plan,
    opener: &Opener,
    poll: &Poll,
    meter: &mut Meter<'_>,
    index: usize,
) -> io::Result<Option<Visit>> {
    let Some(number) = meter.begin() else { return Ok(None) };
    let mut stream = connect(plan, number)?;
    poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Some(Visit {
        number,
        channel: opener.open(stream, index)?,
        exchange: Exchange::default(),
        ending: false,
    }))
}

fn connect(plan: &Plan, number: u64) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let Kind::Churn { close: Close::Reset } = plan.kind {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    // Without it, no port that still waits can be taken.
    socket.set_reuse_address(true)?;
    let source = Ipv4Addr::new(127, 0, 0, 2 + (number % SOURCES) as u8);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, plan.port)).into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

impl Visit {
    /// Goes on, and tells whether it is over.
    fn advance(
        &mut self,
        event: &Event,
        close: Close,
        pattern: &Pattern,
        scratch: &mut [u8],
    ) -> io::Result<bool> {
        if self.ending {
            return self.has_ended();
        }
        if event.is_writable() {
            if let Some(error) = self.channel.stream().take_error()? {
                return Err(error);
            }
        }
        self.channel.go_on()?;
        let message = pattern.message(self.number);
        self.exchange.send(&mut self.channel, message)?;
        if !event.is_readable() || !self.exchange.receive(&mut self.channel, message, scratch)? {
            return Ok(false);
        }
        match close {
            Close::Reset => Ok(true),
            Close::Fin => {
                self.channel.end()?;
                self.ending = true;
                Ok(false)
            }
        }
    }

    /// The numbers of resumed handshakes and of full ones have nothing to do with each other.
    fn check_resumption(&self, plan: &Plan) -> io::Result<()> {
        match (plan.tls_resumes, self.channel.is_resumed()) {
            (Some(wanted), Some(found)) if wanted != found && self.number >= plan.warm_up => {
                Err(io::Error::other(format!("connection {} resumed a session: {found}", self.number)))
            }
            _ => Ok(()),
        }
    }

    fn has_ended(&mut self) -> io::Result<bool> {
        match self.channel.read(&mut [0]) {
            Ok(0) => Ok(true),
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than were sent")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
