//! DG: datagrams at the edges of what is usual: what takes care of itself, what goes wrong again and again.

use std::cell::RefCell;
use std::rc::Rc;

use marline_tasks::{DatagramSocket, spawn_on};

use crate::conformance;
use crate::support::{ANY, World};

conformance! {
    fn a_task_that_sends_much_in_one_go_goes_on_when_it_has_left(world: &World) {
        let sent = Rc::new(RefCell::new(None));
        let (told, far) = (Rc::clone(&sent), world.far_port().address());
        let task = spawn_on(&world.handle(), async move {
            let socket = DatagramSocket::bind(ANY)?;
            for _ in 0..20 {
                socket.send_to(&[7; 10_000], far.clone()).await?;
            }
            told.replace(Some(socket.transport()?.buffered()));
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
        world.until(|| task.is_finished());
        assert!(sent.borrow().is_some(), "the task failed");
    }
}
