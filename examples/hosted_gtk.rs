//! A window of GTK's on a server: callbacks count for its label, a task ticks, and a button starts a client.
//!
//! `cargo run --example hosted_gtk --features gtk -- tcp://127.0.0.1:8000`, then `nc 127.0.0.1 8000`. Each second the
//! window tells how many turns our loop made: one, for the task that says so, while nothing else happens. A line `quit`
//! ends the program, and so does closing the window (Ctrl+W).
//!
//! All of it runs on GTK's thread: no channel and no lock stands between a connection and a label.

mod glib_host;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gtk::prelude::*;
use gtk::{Application, Button, Label, Orientation, Window};
use marline::prelude::*;
use marline::{Address, spawn_on};

/// What the window shows. Callbacks and tasks of the loop change it as they please.
#[derive(Default)]
struct View {
    window: Window,
    counts: Label,
    turns: Label,
    button: Button,
    connections: Cell<isize>,
    lines: Cell<usize>,
}

impl View {
    fn new() -> Rc<Self> {
        let (view, content) = (Self::default(), gtk::Box::new(Orientation::Vertical, 12));
        content.append(&view.counts);
        content.append(&view.turns);
        content.append(&view.button);
        view.button.set_label("Send three lines");
        view.window.set_child(Some(&content));
        view.count(0, 0);
        Rc::new(view)
    }

    fn count(&self, connections: isize, lines: usize) {
        self.connections.set(self.connections.get() + connections);
        self.lines.set(self.lines.get() + lines);
        let text = format!("{} connections, {} lines", self.connections.get(), self.lines.get());
        self.counts.set_label(&text);
        self.window.set_title(Some(&text));
    }
}

struct Session(Rc<View>);

impl LineProtocol for Session {
    fn connection_made(&mut self, _: &Transport) {
        self.0.count(1, 0);
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.0.count(0, 1);
        match line {
            b"quit" => transport.handle().shutdown(),
            _ => _ = transport.write([line, b"\n"].concat()),
        }
    }

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        self.0.count(-1, 0);
    }
}

async fn tell_turns(handle: Handle, view: Rc<View>) {
    let mut before = 0;
    loop {
        sleep(Duration::from_secs(1)).await;
        let turns = handle.stats().turns;
        let text = format!("{} turns in this second", turns - std::mem::replace(&mut before, turns));
        println!("{text}");
        view.turns.set_label(&text);
    }
}

async fn send_three_lines(address: Address) -> Result<()> {
    let stream = Stream::connect(address).await?;
    for number in 1..=3 {
        stream.write_all(format!("line {number}\n").as_bytes()).await?;
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn main() -> Result<()> {
    gtk::init()?;
    let reactor = Rc::new(Reactor::new()?);
    let (handle, view) = (reactor.handle(), View::new());
    let sessions = Rc::clone(&view);
    let factory = move |_: &Addresses| Lines(Session(Rc::clone(&sessions)));
    let server = handle.listen(endpoint_arg("tcp://127.0.0.1:8000"), factory)?;
    let address = server.local_address().ok_or("no address")?;
    println!("{}", greeting(&address));

    spawn_on(&handle, tell_turns(handle.clone(), Rc::clone(&view)));
    let guest = handle.clone();
    view.button.connect_clicked(move |_| _ = spawn_on(&guest, send_three_lines(address.clone())));

    let app = Application::default();
    app.set_accels_for_action("window.close", &["<Control>w"]);
    app.connect_activate(move |app| {
        view.window.set_application(Some(app));
        view.window.present();
    });
    let host = app.clone();
    let _driven = glib_host::drive(&reactor, move || host.quit())?;
    app.run_with_args::<&str>(&[]); // Ours are not GTK's.

    // The window is gone: whoever is connected is told.
    handle.shutdown();
    if handle.is_over() { Ok(()) } else { Ok(reactor.run()?) }
}
