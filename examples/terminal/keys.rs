//! What a client sends: what is typed, and between it the size of the window whenever that changes.
//!
//! A size is `ROWSxCOLUMNS` between two bytes of 0xFF, which no text in UTF-8 has. Two of them with nothing in between are one
//! that was typed. So who types text needs to know nothing of this, and nothing is held back that may become a size.
use marline::terminal::WindowSize;

const MARK: u8 = 0xFF;

/// The longest size: `65535x65535`.
const LONGEST: usize = 11;

/// What a client says that its window has this size.
pub(super) fn say(size: WindowSize) -> Vec<u8> {
    [&[MARK], format!("{}x{}", size.rows, size.columns).as_bytes(), &[MARK]].concat()
}

/// What a client says that this was typed.
pub(super) fn typed(keys: &[u8]) -> Vec<u8> {
    keys.iter().flat_map(|&key| std::iter::repeat_n(key, if key == MARK { 2 } else { 1 })).collect()
}

/// The server's side. What comes may be cut anywhere.
#[derive(Default)]
pub(super) struct Keys {
    /// What came since a mark that may begin a size.
    said: Option<Vec<u8>>,
}

impl Keys {
    /// Takes the last size out of what came, and what was typed.
    pub(super) fn take(&mut self, data: &[u8]) -> (Vec<u8>, Option<WindowSize>) {
        let (mut typed, mut size) = (Vec::with_capacity(data.len()), None);
        for &byte in data {
            match &mut self.said {
                None if byte == MARK => self.said = Some(Vec::new()),
                None => typed.push(byte),
                Some(said) if byte != MARK && said.len() < LONGEST => said.push(byte),
                // The second mark, or it has become too long for a size: then it was typed.
                Some(said) => {
                    match parse(said) {
                        Some(new) if byte == MARK => size = Some(new),
                        _ if said.is_empty() => typed.push(MARK),
                        _ => typed.extend([&[MARK], &said[..], &[byte]].concat()),
                    }
                    self.said = None;
                }
            }
        }
        (typed, size)
    }
}

fn parse(said: &[u8]) -> Option<WindowSize> {
    let (rows, columns) = std::str::from_utf8(said).ok()?.split_once('x')?;
    Some(WindowSize::new(rows.parse().ok()?, columns.parse().ok()?))
}
