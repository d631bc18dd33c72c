//! Which instructions change memory atomically.

use std::collections::HashMap;

use nix::sys::ptrace;
use nix::unistd::Pid;

/// Whether such instructions are known here.
pub(super) const IS_KNOWN: bool = cfg!(target_arch = "x86_64");

/// The instructions that were met, by their places.
#[derive(Default)]
pub(super) struct Known(HashMap<u64, bool>);

impl Known {
    /// Whether the next instruction of this thread, which is stopped, is one of them.
    pub(super) fn comes_next(&mut self, thread: Pid) -> bool {
        let Some(place) = place_of_next(thread) else { return false };
        *self.0.entry(place).or_insert_with(|| {
            ptrace::read(thread, place as ptrace::AddressType)
                .is_ok_and(|code| is_atomic(&code.to_le_bytes()))
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn place_of_next(thread: Pid) -> Option<u64> {
    use nix::libc::{user, user_regs_struct};

    let offset = std::mem::offset_of!(user, regs) + std::mem::offset_of!(user_regs_struct, rip);
    ptrace::read_user(thread, offset as ptrace::AddressType).ok().map(|place| place as u64)
}

#[cfg(not(target_arch = "x86_64"))]
fn place_of_next(_: Pid) -> Option<u64> {
    None
}

/// Whether the instruction of an x86 that these bytes begin with is locked: by its prefix, or because exchanges with memory always are.
fn is_atomic(code: &[u8]) -> bool {
    let mut code = code.iter().copied().skip_while(|byte| {
        // Prefixes of size, of repetition and of segments.
        matches!(byte, 0x66 | 0x67 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65)
    });
    let first = code.next();
    let opcode = if matches!(first, Some(0x40..=0x4f)) { code.next() } else { first };
    match opcode {
        Some(0xf0) => true,
        // An exchange, which is locked if one of the two is in memory.
        Some(0x86 | 0x87) => code.next().is_some_and(|operands| operands >> 6 != 0b11),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_instructions_are_told_from_others() {
        let locked: [&[u8]; 5] = [
            // lock incq (%rax)
            &[0xf0, 0x48, 0xff, 0x00],
            // lock cmpxchg %ecx,%fs:(%rdx)
            &[0x64, 0xf0, 0x0f, 0xb1, 0x0a],
            // xchg %al,(%rdi)
            &[0x86, 0x07],
            // xchg %rax,0x8(%rdi)
            &[0x48, 0x87, 0x47, 0x08],
            // lock xadd %ax,(%rdi)
            &[0x66, 0xf0, 0x0f, 0xc1, 0x07],
        ];
        let others: [&[u8]; 5] = [
            // incq (%rax)
            &[0x48, 0xff, 0x00],
            // xchg %rax,%rbx
            &[0x48, 0x87, 0xd8],
            // xchg %ax,%ax
            &[0x66, 0x90],
            // mov %rax,(%rdi)
            &[0x48, 0x89, 0x07],
            &[],
        ];
        assert!(locked.iter().all(|code| is_atomic(code)));
        assert!(!others.iter().any(|code| is_atomic(code)));
    }
}
