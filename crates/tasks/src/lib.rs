//! Futures on Marline's callback loop.
//!
//! An executor, tasks, streams and combinators, on the public API of `marline-reactor` alone. Tasks and callbacks share one
//! loop and one ready queue: what became ready first runs first, whichever kind it is. Tasks belong to one thread and need
//! not be `Send`; this is not a scheduler that moves work between threads.
//!
//! ```
//! use marline_tasks::{Listener, Stream, copy, gather, spawn};
//! use std::error::Error;
//!
//! fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
//!     marline_tasks::run(async {
//!         let listener = Listener::bind("tcp://127.0.0.1:0")?;
//!         let address = listener.local_address()?;
//!         spawn(async move {
//!             let stream = listener.accept().await?;
//!             copy(&stream, &stream).await
//!         });
//!         let stream = Stream::connect(address).await?;
//!         stream.write_all(b"hello").await?;
//!         let mut answer = [0; 5];
//!         assert_eq!(stream.read(&mut answer).await?, 5);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! * Tasks: [`spawn`], [`JoinHandle`], [`run`], [`yield_now`]; from other threads [`spawn_remote`]; with names, in a list, and
//!   with values of their own: [`task`]. Work that blocks: [`spawn_blocking`].
//! * Structure: [`TaskGroup`], [`CancelScope`], [`shield`]; how cancelling works: [`scope`].
//! * Several things at once: [`gather()`], [`settle()`], [`race`], [`select()`], [`select!`], [`timeout`].
//! * Child processes: [`Child`], [`output`].
//! * Signals of the operating system: [`signal`], [`ctrl_c`].
//! * Time: [`sleep`], [`interval`]. A value that comes later: [`deferred`].
//! * Connections: [`Listener`], [`Stream`], [`copy`]; messages on them: [`Framed`]. Datagrams: [`DatagramSocket`]; records:
//!   [`PacketListener`].
//!   What else can be waited for: [`Watched`].
//! * On many threads, a loop on each: [`AsyncGroup`], [`GroupTasks`].
//! * From callbacks and to callbacks: [`conversation`], [`Stream::from_transport`], [`Stream::into_protocol`].

pub mod combinators;
mod deferred;
mod error;
mod group;
mod home;
mod local;
mod mail;
mod net;
mod process;
pub mod scope;
mod signals;
mod table;
pub mod task;
mod time;
mod wake;
mod watched;

pub use combinators::{GatherError, gather, race, select, settle};
pub use deferred::{Abandoned, Deferred, Resolver, deferred};
pub use error::{HandedOver, UntakenDescriptors, WrongThread};
pub use group::{AsyncGroup, GroupTasks};
pub use net::{
    Accept, AcceptPackets, Connect, DatagramSocket, Framed, FramedError, FramedSendError, FromTransportError,
    Incoming, IntoProtocolError, IntoTransportError, Listener, NextFrame, PacketListener, Read, ReadHalf,
    RecvFrom, ReuniteError, SendTo, Stream, StreamProtocol, WriteAll, WriteHalf, conversation, copy, stdio,
};
pub use process::{Child, Output, Wait, output, output_up_to};
pub use scope::{CancelScope, CancelToken, Cancelled, shield};
pub use signals::{CtrlC, Signals, ctrl_c, signal};
pub use task::{
    AbortHandle, Blocking, BlockingError, GroupError, JoinError, JoinHandle, TaskGroup, TaskStats, YieldNow,
    run, run_on, spawn, spawn_blocking, spawn_on, spawn_remote, spawn_remote_with, task_list, task_list_on,
    task_stats, yield_now,
};
pub use time::{
    Elapsed, Interval, MissedTicks, Sleep, Timeout, interval, sleep, sleep_until, timeout, timeout_at,
};
pub use watched::{WaitReady, Watched};
