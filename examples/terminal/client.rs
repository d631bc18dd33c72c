//! The client: the terminal that it runs in shows the far one.
use marline::prelude::*;
use marline::terminal::{RawMode, window_size};
use marline::{ReadHalf, WriteHalf};

use crate::keys;

/// Ctrl-], which leaves.
const LEAVE: u8 = 0x1d;

pub(super) fn run(endpoint: String) -> Result<()> {
    marline::run(async move {
        let (shown, typed) = Stream::connect(endpoint).await?.into_split();
        // The settings come back at the end, and by then everything is shown.
        let _raw = RawMode::enter(std::io::stdin())?;
        let (input, output) = stdio()?.into_split();
        select! {
            shown = copy(shown, output) => shown.map(drop)?,
            typed = type_in(input, typed) => typed?,
        }
        Ok(())
    })
}

/// Sends what is typed, and how large the window is, until the key that leaves or the terminal's end.
async fn type_in(input: ReadHalf, server: WriteHalf) -> Result<()> {
    // Watched before the size is asked for, so that no change is missed.
    let mut resized = signal(SignalKind::WINDOW_CHANGE)?;
    let mut keys = [0; 4096];
    server.write_all(&keys::say(window_size(std::io::stdin())?)).await?;
    loop {
        let said = select! {
            resized = resized.recv() => {
                resized?;
                keys::say(window_size(std::io::stdin())?)
            },
            count = input.read(&mut keys) => match &keys[..count?] {
                [] => return Ok(()),
                typed if typed.contains(&LEAVE) => return Ok(()),
                typed => keys::typed(typed),
            },
        };
        server.write_all(&said).await?;
    }
}
