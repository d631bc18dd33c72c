//! A chat server in both styles: the wire format is a line protocol in callbacks; each member's conversation, with its
//! idle timeout, and each room are async tasks. They talk to each other over one connection.
//!
//! `cargo run --example chat -- tcp://127.0.0.1:8000 60`, then `nc 127.0.0.1 8000` in several terminals: say your
//! name, `/join ROOM`, and talk. The second argument is the idle timeout in seconds.
mod console; // Lets `tokio-console` look at the tasks: see docs/debugging.md.
use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use futures::StreamExt;
use futures::channel::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded};
use marline::prelude::*;

/// So many bytes may wait for a member. One that does not read them is dropped.
const BEHIND: usize = 256 * 1024;
/// So many events a room handles at a time.
const BATCH: usize = 256;

type Rooms = Rc<RefCell<HashMap<String, UnboundedSender<Event>>>>;

/// What a room is told: a text for all its members, after this one has come or gone.
struct Event {
    member: Transport,
    stays: bool,
    text: String,
}

/// The wire: passes each line to the member's conversation, and reads no further until that asks for more.
struct Wire {
    lines: Sender<String>,
    conversation: Option<(Receiver<String>, Rooms, Duration)>,
}

impl LineProtocol for Wire {
    fn connection_made(&mut self, transport: &Transport) {
        if let Some((lines, rooms, idle)) = self.conversation.take() {
            let task = conversation(transport.clone(), lines, rooms, idle);
            marline::task::Builder::new().name(format!("member {:?}", transport.key())).spawn(task);
        }
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        transport.pause_reading();
        if self.lines.try_send(String::from_utf8_lossy(line).into_owned()).is_err() {
            transport.close();
        }
    }
}

/// One member, from its name to its leaving.
async fn conversation(transport: Transport, mut lines: Receiver<String>, rooms: Rooms, idle: Duration) {
    transport.write("Your name?\n");
    let (mut name, mut here) = (String::new(), String::new());
    let farewell = loop {
        transport.resume_reading();
        let line = match timeout(idle, lines.next()).await {
            Ok(Some(line)) => line,
            Ok(None) => break "has gone",
            Err(_) => {
                transport.write("You were idle for too long.\n");
                transport.close();
                break "was idle for too long";
            }
        };
        if name.is_empty() {
            transport.write(format!("Welcome, {line}. /join ROOM, then talk.\n"));
            name = line;
        } else if let Some(next) = line.strip_prefix("/join ") {
            tell(&rooms, &here, &transport, false, format!("{name} has left"));
            open(&rooms, next);
            tell(&rooms, next, &transport, true, format!("{name} has joined"));
            here = next.to_owned();
        } else if !tell(&rooms, &here, &transport, true, format!("{name}: {line}")) {
            transport.write("/join ROOM first.\n");
        }
    };
    tell(&rooms, &here, &transport, false, format!("{name} {farewell}"));
}

fn tell(rooms: &Rooms, room: &str, member: &Transport, stays: bool, text: String) -> bool {
    let event = Event { member: member.clone(), stays, text };
    rooms.borrow().get(room).is_some_and(|room| room.unbounded_send(event).is_ok())
}

fn open(rooms: &Rooms, name: &str) {
    rooms.borrow_mut().entry(name.to_owned()).or_insert_with(|| {
        let (sender, events) = unbounded();
        let task = room(name.to_owned(), events, rooms.clone());
        marline::task::Builder::new().name(format!("room {name}")).spawn(task);
        sender
    });
}

/// One room, until its last member has left.
async fn room(name: String, events: UnboundedReceiver<Event>, rooms: Rooms) {
    let mut members: Vec<Transport> = Vec::new();
    let mut batches = events.ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let more = batch.len() == BATCH;
        for Event { member, stays, text } in batch {
            members.retain(|other| *other != member);
            members.extend(stays.then_some(member));
            members.iter().for_each(|member| _ = member.write(format!("[{name}] {text}\n")));
        }
        members.iter().filter(|member| member.buffered() > BEHIND).for_each(Transport::abort);
        if members.is_empty() && !more {
            break;
        }
    }
    rooms.borrow_mut().remove(&name);
}

fn main() -> Result<()> {
    console::init();
    let idle = std::env::args().nth(2).map_or(Ok(60.0), |seconds| seconds.parse())?;
    let (idle, rooms) = (Duration::try_from_secs_f64(idle)?, Rooms::default());
    marline::serve(endpoint_arg("tcp://127.0.0.1:8000"), move |_| {
        let (lines, received) = channel(1);
        Lines(Wire { lines, conversation: Some((received, rooms.clone(), idle)) })
    })
}
