//! As async functions on Tokio.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::peer;
use crate::role::{Answer, CHUNK, FILLER, UNIT, Units};

/// How many lines a relay keeps for those who are behind. More than any client has under way.
const LINES: usize = 1024;

/// Sends what it gets.
///
/// # Errors
///
/// Those of the connection.
pub async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; peer::buffer()];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
    }
}

/// Sends what is asked for.
///
/// # Errors
///
/// Those of the connection.
pub async fn source(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let (chunk, mut buffer) = (vec![FILLER; CHUNK], [0; 64]);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        for _ in 0..count * UNIT / CHUNK {
            stream.write_all(&chunk).await?;
        }
        stream.flush().await?;
    }
}

/// Counts what it gets.
///
/// # Errors
///
/// Those of the connection.
pub async fn sink(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let (mut buffer, mut units) = (vec![0; peer::buffer()], Units::default());
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        for _ in 0..units.complete(count) {
            stream.write_all(&[FILLER]).await?;
        }
        stream.flush().await?;
    }
}

/// Answers lines.
///
/// # Errors
///
/// Those of the connection.
pub async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    while reader.read_until(b'\n', &mut line).await? > 0 {
        let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        writer.write_all(Answer::to(end).as_ref()).await?;
        line.clear();
    }
    Ok(())
}

/// A line, and the number of who sent it.
pub type Message = (u64, Bytes);

/// Sends each line to every other connection.
#[derive(Debug)]
pub struct Relay {
    lines: Sender<Message>,
    connections: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self { lines: broadcast::channel(LINES).0, connections: 0 }
    }
}

impl Relay {
    /// Serves one more connection, by tasks of its own. It gets every line that is published from now on.
    pub fn add(&mut self, stream: TcpStream) {
        self.connections += 1;
        let (reader, writer) = stream.into_split();
        tokio::task::spawn_local(forward(self.connections, self.lines.subscribe(), writer));
        tokio::task::spawn_local(publish(self.connections, self.lines.clone(), BufReader::new(reader)));
    }
}

async fn publish(
    own: u64,
    lines: Sender<Message>,
    mut reader: impl AsyncBufReadExt + Unpin,
) -> io::Result<()> {
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        // It fails only if nobody is there to read it.
        let _ = lines.send((own, Bytes::copy_from_slice(&line)));
        line.clear();
    }
    Ok(())
}

/// Takes all lines that are there before it sends, so that they leave in one call.
async fn forward(own: u64, mut lines: Receiver<Message>, writer: OwnedWriteHalf) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    while let Ok(first) = lines.recv().await {
        let mut next = Some(first);
        while let Some((from, line)) = next {
            if from != own {
                writer.write_all(&line).await?;
            }
            next = lines.try_recv().ok();
        }
        writer.flush().await?;
    }
    Ok(())
}
