//! As async functions on Marline.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use marline::prelude::*;

use crate::peer;
use crate::role::{Answer, CHUNK, FILLER, Role, UNIT, Units};

/// Everyone who is connected to a relay.
pub type Everyone = Rc<RefCell<Vec<Transport>>>;

/// Serves one connection to its end.
///
/// # Errors
///
/// Those of the connection.
pub async fn serve(role: Role, stream: Stream, everyone: Everyone) -> marline::Result<()> {
    match role {
        Role::Echo | Role::Timed => {
            copy(&stream, &stream).await?;
        }
        Role::Source => source(&stream).await?,
        Role::Sink => sink(&stream).await?,
        Role::Lines => answer(&stream).await?,
        Role::Relay => relay(&stream, &everyone).await?,
    }
    Ok(stream.close().await?)
}

async fn source(stream: &Stream) -> io::Result<()> {
    let (chunk, mut buffer) = (vec![FILLER; CHUNK], [0; 64]);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count * UNIT / CHUNK {
            stream.write_all(&chunk).await?;
        }
    }
}

async fn sink(stream: &Stream) -> io::Result<()> {
    let (mut buffer, mut units) = (vec![0; peer::buffer()], Units::default());
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..units.complete(count) {
            stream.write_all(&[FILLER]).await?;
        }
    }
}

async fn answer(stream: &Stream) -> marline::Result<()> {
    let mut lines = Framed::new(stream, LineParser::new());
    while let Some(line) = lines.next().await {
        let answer = Answer::to(line?.len());
        stream.write_all(answer.as_ref()).await?;
    }
    Ok(())
}

/// The bytes of a line are stored once, however many get it.
async fn relay(stream: &Stream, everyone: &Everyone) -> marline::Result<()> {
    let own = stream.transport()?;
    everyone.borrow_mut().push(own.clone());
    let mut lines = Framed::new(stream, LineParser::new());
    while let Some(Ok(line)) = lines.next().await {
        let message = Bytes::from([line, b"\n"].concat());
        for other in everyone.borrow().iter().filter(|other| **other != own) {
            other.write_owned(message.clone());
        }
    }
    everyone.borrow_mut().retain(|other| *other != own);
    Ok(())
}
