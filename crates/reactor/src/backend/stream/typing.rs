//! What a terminal makes of the bytes that are typed into it.

use std::os::fd::AsFd;

use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Termios, tcgetattr};

/// A special character of this value is none (`_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

/// Whether programs in it read whole lines.
pub(super) fn is_by_lines(terminal: impl AsFd) -> bool {
    tcgetattr(terminal).is_ok_and(|settings| reads_lines(&settings))
}

/// What a person types to say that there is no more, after the byte `last`; nothing where it would be a byte like others.
///
/// The character for it (VEOF, Ctrl-D) hands over what was typed of a line. Only where that is nothing is it the end: so
/// after a line that was begun it takes two.
pub(super) fn farewell(terminal: impl AsFd, last: Option<u8>) -> Vec<u8> {
    let Ok(settings) = tcgetattr(terminal) else { return Vec::new() };
    let end = settings.special_codes[SpecialCodeIndex::VEOF];
    if end == DISABLED || !reads_lines(&settings) {
        return Vec::new();
    }
    let is_empty = last.is_none_or(|last| ends_line(&settings, last));
    vec![end; if is_empty { 1 } else { 2 }]
}

fn reads_lines(settings: &Termios) -> bool {
    settings.local_modes.contains(LocalModes::ICANON)
}

/// Whether nothing of a line is there after this byte. Where that cannot be known, as after an erased character, it is
/// said not to be: one end too many does little harm, and one too few is waited for in vain.
fn ends_line(settings: &Termios, byte: u8) -> bool {
    use SpecialCodeIndex as Code;

    let is_one_of =
        |codes: &[Code]| codes.iter().any(|code| byte != DISABLED && settings.special_codes[*code] == byte);
    let input = settings.input_modes;
    let flushes =
        settings.local_modes.contains(LocalModes::ISIG) && !settings.local_modes.contains(LocalModes::NOFLSH);
    match byte {
        b'\n' => !input.contains(InputModes::INLCR),
        b'\r' if input.contains(InputModes::ICRNL) => !input.contains(InputModes::IGNCR),
        _ if is_one_of(&[Code::VEOF, Code::VEOL, Code::VEOL2, Code::VKILL]) => true,
        _ => flushes && is_one_of(&[Code::VINTR, Code::VQUIT, Code::VSUSP]),
    }
}
