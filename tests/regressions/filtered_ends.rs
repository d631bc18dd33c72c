//! What a filter says at the end of our direction, where nobody reads yet.

use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::sync::mpsc;

use marline_reactor::filter::{Filter, FilterError, Flow, Output, ReadAhead};
use marline_tasks::{Stream, run_on};
use marline_tests::on_sockets;

/// More than any pipe holds.
const FAREWELL: usize = 4 << 20;

/// Changes nothing, and has a lot to say at the end.
struct LongFarewell;

impl Filter for LongFarewell {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        Ok(output.push(input))
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        input.iter().for_each(|part| flow.send(part));
        Ok(input.iter().map(|part| part.len()).sum())
    }

    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.send(&vec![b'!'; FAREWELL]);
        flow.shut();
        Ok(())
    }
}

/// A program that ends when its stream is closed would lose what is not out by then.
fn a_stream_is_closed_when_the_farewell_of_its_filter_is_out(backend: &str) {
    let reactor = marline_tests::backends::reactor(backend);
    let (unused, input) = rustix::pipe::pipe().expect("a pipe");
    let (peer, output) = rustix::pipe::pipe().expect("a pipe");
    let (go, wait) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        wait.recv().expect("a sign");
        File::from(peer).read_to_end(&mut received).expect("bytes");
        received.len()
    });
    let closed = run_on(&reactor, async move {
        let mut stream = Stream::adopt((unused, output))?;
        stream.push_filter(LongFarewell, ReadAhead::Refuse).await?;
        stream.write_all(b"hello").await?;
        let mut close = std::pin::pin!(stream.close());
        assert!(futures::poll!(&mut close).is_pending(), "nobody reads");
        go.send(()).map_err(io::Error::other)?;
        close.await?;
        assert_eq!(stream.transport()?.buffered(), 0);
        Ok::<_, Box<dyn std::error::Error>>(())
    });
    closed.expect("a run").expect("a close");
    drop((reactor, input));
    assert_eq!(reader.join().expect("the reader"), FAREWELL + 5);
}

on_sockets! { a_stream_is_closed_when_the_farewell_of_its_filter_is_out }
