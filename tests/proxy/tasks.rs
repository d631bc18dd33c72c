//! Both roles in async code.

use std::io;

use marline_reactor::Transport;
use marline_tasks::{Listener, Stream};

use crate::proxy::{Header, Version};
use crate::samples::{bad, identified};
use crate::support::{World, collect};
use crate::{conformance, endpoint};

fn version(transport: &Transport) -> Option<Version> {
    transport.published::<Header>().map(|header| header.version)
}

conformance! {
    fn a_stream_knows_its_real_peer(world: &World) {
        let listener = world.handle().enter(|| Listener::bind(endpoint(world))).expect("a listener");
        let address = listener.local_address().expect("an address");
        let task = world.spawn(async move {
            let stream = listener.accept().await?;
            let known = (stream.peer_address()?.to_string(), stream.local_address()?.to_string());
            let said = version(&stream.transport()?);
            let mut word = [0; 5];
            let mut filled = 0;
            while filled < word.len() {
                filled += stream.read(&mut word[filled..]).await?;
            }
            let is_filtered = stream.transport()?.is_filtered();
            stream.write_all(&word).await?;
            stream.close().await?;
            io::Result::Ok((known, said, is_filtered))
        });
        // Who has no header is nobody that is accepted.
        let stranger = world.connect_raw_to(address.clone());
        world.write(&stranger, &bad()[0].0);
        world.until(|| stranger.read().is_empty() && (stranger.is_finished() || stranger.is_reset()));
        let raw = world.connect_raw_to(address);
        world.write(&raw, &identified());
        world.write(&raw, b"hello");
        assert_eq!(collect(world, &raw), b"hello");
        raw.finish();
        let (known, said, is_filtered) = world.join(task).expect("a conversation");
        assert_eq!(known, ("tcp://192.0.2.7:4711".to_owned(), "tcp://198.51.100.1:443".to_owned()));
        assert_eq!((said, is_filtered), (Some(Version::Two), false));
    }

    fn streams_announce_and_are_believed(world: &World) {
        let listener = world.handle().enter(|| Listener::bind(endpoint(world))).expect("a listener");
        let address = listener.local_address().expect("an address").to_string().replacen("tcp", "proxy", 1);
        let server = world.spawn(async move {
            let stream = listener.accept().await?;
            let peer = stream.peer_address()?;
            stream.write_all(format!("hello {peer}").as_bytes()).await?;
            stream.close().await
        });
        let heard = world.finish(async move {
            let stream = Stream::connect(format!("{address}?version=2&source=[2001:db8::1]:4711")).await?;
            let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Ok::<_, marline::Error>(heard),
                    count => heard.extend_from_slice(&buffer[..count]),
                }
            }
        });
        world.join(server).expect("a greeting");
        // The families differ, so that there is nothing to say about the client.
        let heard = String::from_utf8(heard.expect("a greeting")).expect("words");
        assert!(heard.starts_with("hello tcp://127.0.0.1:"), "{heard}");
    }
}
