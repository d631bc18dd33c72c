//! A program of others that sends a header.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::rc::Rc;

use marline::Addresses;
use marline_tests::examples::has_program;

use crate::proxy::{Header, Version};
use crate::support::{Event, Log, Trace, World, skip};
use crate::{conformance, endpoint};

conformance! {
    fn curl_says_whom_it_speaks_for(world: &World) {
        if world.is_memory() {
            return skip("the memory backend has no kernel to be reached by");
        }
        if !has_program("curl", "--version") {
            return;
        }
        let (log, version) = (Log::new(), Rc::new(Cell::new(None)));
        let (mine, place) = (log.clone(), Rc::clone(&version));
        let server = world.handle().listen(endpoint(world), move |_: &Addresses| {
            let place = Rc::clone(&place);
            Trace::new(&mine).on(Event::Data(0), move |transport| {
                place.set(transport.published::<Header>().map(|header| header.version));
                let body = format!("{} {}", transport.peer_address().expect("a peer"), transport.is_filtered());
                transport.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
                transport.close();
            })
        });
        let server = server.expect("a listener");
        let port = crate::support::address_of(&server).port();
        let curl = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--haproxy-protocol", "-w", " tcp://127.0.0.1:%{local_port}"])
            .arg(format!("http://127.0.0.1:{port}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl starts");
        world.until(|| log.is_lost());
        let output = curl.wait_with_output().expect("its end");
        assert!(output.status.success(), "{output:?}");
        let heard = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = heard.split(' ').collect();
        // What we were told, whether it was filtered then, and what curl had.
        assert_eq!(words.len(), 3, "{heard}");
        assert_eq!((words[0], words[1]), (words[2], "false"), "{heard}");
        assert_eq!(version.get(), Some(Version::One));
        // It was answered as soon as some of it was there.
        let (asked, line) = (log.bytes(), b"GET / HTTP/1.1\r\n");
        let common = asked.len().min(line.len());
        assert!(common > 0 && asked[..common] == line[..common], "{asked:?}");
    }
}
