//! Steps that many tests take: pour bytes in, collect them, fill a connection until nothing more fits.

use std::cell::{Cell, RefCell};

use marline_reactor::Transport;

use super::raw::Raw;
use super::world::World;

/// More than the buffers of a loopback connection hold, on either side.
const FLOOD_ON_SOCKETS: usize = 16 * 1024 * 1024;
const FLOOD_ON_MEMORY: usize = 512 * 1024;

/// Reads what comes until our side ended its direction.
#[track_caller]
pub fn collect(world: &World, raw: &Raw) -> Vec<u8> {
    let bytes = RefCell::new(Vec::new());
    world.until(|| {
        bytes.borrow_mut().extend(raw.read());
        raw.is_finished()
    });
    bytes.into_inner()
}

/// Reads what comes until it is so many bytes.
#[track_caller]
pub fn collect_up_to(world: &World, raw: &Raw, count: usize) -> Vec<u8> {
    let bytes = RefCell::new(Vec::new());
    world.until(|| {
        let room = count - bytes.borrow().len();
        bytes.borrow_mut().extend(raw.read_up_to(room));
        bytes.borrow().len() == count
    });
    bytes.into_inner()
}

/// Takes all that there is, into so much room at a time, where a protocol takes its input itself.
#[track_caller]
pub fn take_all(transport: &Transport, room: usize, mut each: impl FnMut(&[u8])) {
    let mut memory = vec![0; room];
    while let Some(taken) = transport.try_receive(&mut memory) {
        assert!(taken.count > 0 && taken.count <= room);
        each(&memory[..taken.count]);
        if !taken.more {
            return;
        }
    }
    // Whatever cannot be taken is delivered.
    transport.resume_reading();
}

/// Sends all of it from the far end, turning the loop whenever there is no room.
#[track_caller]
pub fn pour(world: &World, raw: &Raw, bytes: &[u8]) {
    let sent = Cell::new(0);
    world.until(|| {
        sent.set(sent.get() + raw.write(&bytes[sent.get()..]));
        sent.get() == bytes.len()
    });
}

/// Writes more than fits while the peer does not read: how much that was. Bytes are left waiting.
#[track_caller]
pub fn flood(world: &World, transport: &Transport) -> usize {
    let count = if world.is_memory() { FLOOD_ON_MEMORY } else { FLOOD_ON_SOCKETS };
    assert!(transport.write(vec![b'f'; count]).is_accepted());
    world.settle();
    assert!(transport.buffered() > 0 || transport.is_closing(), "everything fitted");
    count
}
