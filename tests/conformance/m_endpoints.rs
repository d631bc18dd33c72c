//! M: endpoints that a program adds, and those that are opened rather than reached.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::{
    Addresses, ConnectDone, ConnectError, ConnectFactory, Connecting, Endpoint, EndpointErrorKind,
    EndpointKind, EndpointParts, Handle, ListenError, ListenFactory, Server, Transport, register_endpoint,
};

use crate::conformance;
use crate::support::{Event, Log, Trace, World, skip};

/// `test-mirror://NAME?suffix=S`: an abstract name with another at its end.
struct Mirror;

impl Mirror {
    fn below(parts: &EndpointParts) -> String {
        let name = parts.rest().trim_start_matches('/');
        format!("unix-abstract://{name}{}", parts.option("suffix").unwrap_or_default())
    }
}

impl EndpointKind for Mirror {
    fn options(&self) -> &[&'static str] {
        &["suffix"]
    }

    fn check(&self, parts: &EndpointParts) -> Result<(), String> {
        if parts.rest().starts_with("//") { Ok(()) } else { Err("a name behind two slashes".to_owned()) }
    }

    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        handle.connect(Self::below(parts), factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        handle.listen(Self::below(parts), factory)
    }
}

/// What connecting led to.
fn outcome(
    world: &World,
    endpoint: impl marline_reactor::IntoEndpoint,
    log: &Log,
) -> Result<Transport, ConnectError> {
    let (seen, log) = (Rc::new(RefCell::new(None)), log.clone());
    let told = Rc::clone(&seen);
    world.handle().connect(
        endpoint,
        move |_: &Addresses| Trace::new(&log),
        move |outcome| *told.borrow_mut() = Some(outcome),
    );
    assert!(seen.borrow().is_none(), "nothing is told on the stack of the call");
    world.until(|| seen.borrow().is_some());
    seen.take().expect("an outcome")
}

conformance! {
    fn m14_a_program_adds_kinds_of_endpoints(world: &World) {
        // The kinds belong to the process, and this test runs in it several times.
        let added = register_endpoint("test-mirror", Mirror);
        assert!(added.as_ref().err().is_none_or(marline_reactor::RegisterError::is_taken), "{added:?}");
        assert!(register_endpoint("test-mirror", Mirror).is_err_and(|error| error.is_taken()));
        assert!(register_endpoint("tcp", Mirror).is_err_and(|error| error.is_taken()));
        assert!(register_endpoint("no scheme", Mirror).is_err_and(|error| !error.is_taken()));

        // A name of its own each time: a program that another test starts may have a copy of the last listener still.
        let text = format!("test-mirror://{}?suffix=-below", crate::support::scratch("m14-mirror").display());
        let (near, far) = (Log::new(), Log::new());
        let mine = near.clone();
        let server = world.handle().listen(&text, move |_: &Addresses| Trace::new(&mine)).expect("a listener");
        let transport = outcome(world, &text, &far).expect("a connection");
        transport.write(b"through both");
        world.until(|| near.received() == 12);
        server.stop();

        let error = "test-mirror:name".parse::<Endpoint>().expect_err("no name");
        assert_eq!(error.to_string(), "endpoint \"test-mirror:name\": \"name\" should be a name behind two slashes");
        let error = "test-mirror://name?limit=1".parse::<Endpoint>().expect_err("no such option");
        assert_eq!((error.kind(), error.part()), (&EndpointErrorKind::UnknownOption, "limit"));
        assert_eq!(text.parse::<Endpoint>().expect("an endpoint").to_string(), text);
    }

    fn m14_an_endpoint_of_the_wrong_kind_is_an_error_that_says_so(world: &World) {
        let log = Log::new();
        let error = outcome(world, "udp://127.0.0.1:9", &log).expect_err("datagrams");
        assert!(matches!(error, ConnectError::WrongKind { .. }), "{error}");
        assert!(error.to_string().contains("udp://127.0.0.1:9"));
        let mine = log.clone();
        let outcome = world.handle().listen("stdio:", move |_: &Addresses| Trace::new(&mine));
        assert!(matches!(outcome, Err(ListenError::WrongKind { .. })), "{outcome:?}");
        assert_eq!(log.all(), []);
    }

    fn m14_a_descriptor_that_is_not_there_is_an_error(world: &World) {
        let log = Log::new();
        let error = outcome(world, "fd://65000", &log).expect_err("no descriptor");
        assert_eq!(error.to_string(), "cannot open fd://65000: there is no descriptor 65000");
        assert_eq!(world.open_sockets(), 0);
    }

    fn m14_a_command_is_talked_to_by_its_input_and_output(world: &World) {
        if world.is_memory() {
            return skip("the memory backend has no processes of the system's");
        }
        let log = Log::new();
        let transport = outcome(world, "exec:tr a-z A-Z?", &log).expect("a command");
        // The question mark belongs to the command: nothing behind it is an option.
        transport.write(b"said to a command\n");
        transport.write_eof();
        world.until(|| log.is_lost());
        assert_eq!(log.bytes(), b"SAID TO A COMMAND\n");
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
    }

    fn m14_named_pipes_wait_for_their_reader(world: &World) {
        if world.is_memory() {
            return skip("the memory backend has no files");
        }
        let path = crate::u_unix::scratch("m14-pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .expect("a named pipe");
        let (reader, writer) = (Log::new(), Log::new());
        let (made, mine) = (Rc::new(RefCell::new(None)), writer.clone());
        let told = Rc::clone(&made);
        world.handle().connect(
            format!("pipe://{}?open=write", path.display()),
            move |_: &Addresses| Trace::new(&mine),
            move |outcome| *told.borrow_mut() = Some(outcome.expect("a pipe")),
        );
        // It is looked for again and again, so the loop does not settle.
        world.turn_a_little();
        assert!(made.borrow().is_none(), "nobody reads yet");
        outcome(world, format!("pipe://{}?open=read", path.display()), &reader).expect("a pipe");
        world.until(|| made.borrow().is_some());
        let transport = made.take().expect("a transport");
        transport.write(b"into the pipe");
        transport.close();
        world.until(|| reader.is_lost() && writer.is_lost());
        assert_eq!(reader.bytes(), b"into the pipe");
        assert_eq!(reader.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
        std::fs::remove_file(&path).expect("the file");
    }
}
