//! What the sections share.
//!
//! * `world`: a loop on one of the backends, and the outside of it; `worlds`: which there are; `kind`: which, and how its backend is made.
//! * `driver`: who makes the turns; `guest`: foreign loops that do.
//! * `hosted`: a loop and a host of the barest kind, for those who make the turns themselves.
//! * `raw`: the far ends of connections: plain sockets, or scripted peers.
//! * `faulty`: a backend whose operations fail as the test says, and which writes down what was asked of it;
//!   `faulty_datagrams`: the same of datagrams.
//! * `adversary`: a backend that does whatever the contract allows, as chance has it.
//! * `attempt`: a connect, and what it told; `script`: a resolver that answers as a test says.
//! * `announce`: a protocol that tells a test which connection it got.
//! * `trace`: a protocol that writes down what happens to it.
//! * `notes`: what a test writes down, and when that was.
//! * `framing`: messages, and protocols of frames that write down what they get.
//! * `traffic`: steps that many tests take.
//! * `datagrams`: a protocol for datagrams that writes down what happens, and far ends.
//! * `dice`: what decides where a test leaves something to chance.
//! * `dead_end`: addresses that never answer, or refuse.
//! * `ending`: what is left when a test is over.
//! * `names`: a backend that answers look-ups.
//! * `nosy`: wakers that run what a test likes.
//! * `tasks`: tasks on a world's loop; `probe`: a future that tells what was done with it.
//! * `passing`: descriptors that are passed, and who keeps them.
//! * `pipes`: pipes of a loop, and their far ends; `terminals`: terminals, and the programs in them.
//! * `place`: what the connections of a world go over: the loopback, or UNIX sockets.
//! * `secure`: TLS on the connections of a world, and far ends that speak it.
//! * `sources`: something to watch, and the far end of it.
//! * `toys`: filters to test the loop with; `transparent`: one that changes nothing.
//! * `stamp`: the macros that turn one function into a test for every world.

mod adversary;
mod announce;
mod attempt;
mod datagrams;
mod dead_end;
mod dice;
mod driver;
mod ending;
mod failures;
mod faulty;
mod faulty_datagrams;
mod framing;
mod guest;
mod hands;
mod hosted;
mod kind;
mod names;
mod nosy;
mod notes;
pub mod passing;
mod pipes;
mod place;
mod probe;
mod raw;
mod script;
pub mod secure;
mod sources;
mod stamp;
mod tasks;
mod terminals;
pub mod toys;
mod trace;
mod traffic;
mod transparent;
mod world;
mod worlds;

pub use attempt::Attempt;
pub use datagrams::{ANY, Said, Talk, Talked};
pub use dead_end::{DeadEnd, DeadPorts};
pub use dice::{Dice, bump};
pub use ending::{is_over, runs_out};
pub use failures::failures;
pub use faulty::{Faults, Faulty};
pub use framing::{Framing, Got, Session, encoded, messages};
pub use hands::Hands;
pub use hosted::{Hosted, is_readable};
pub use kind::seeds;
pub use nosy::{Act, Nosy, nosy};
pub use notes::{Moment, Notes};
pub use pipes::FarPipe;
pub use place::{Place, free_name, free_path, scratch};
pub use probe::{Probe, Within};
pub use raw::{Raw, RawListener};
pub use script::Script;
pub use sources::{Far, Near, pair as source_pair};
pub use tasks::{Drops, Witness};
pub use terminals::Program;
pub use trace::{Event, Log, Trace, reason_name};
pub use traffic::{collect, collect_up_to, flood, pour, take_all};
pub use world::{World, address_of, pattern, skip};
