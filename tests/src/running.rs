//! Processes, as `/proc` tells of them.

use std::fs::read_to_string;

/// A process, which is not mistaken for a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub id: u32,
    /// When it began, in ticks since the system did.
    begun: u64,
}

/// What is told of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The name of its program, cut to 15 bytes.
    pub program: String,
    /// A letter: `R`, `S`, `T` if it is stopped, `Z` if it has ended and nobody has asked how.
    pub state: char,
    /// The number of its parent.
    pub parent: u32,
    /// The number of its group.
    pub group: u32,
    /// The number of its session.
    pub session: u32,
    /// The device that is its controlling terminal, 0 if it has none.
    pub terminal: u64,
    /// The group in the foreground of that, which is negative if there is none.
    pub foreground: i64,
    begun: u64,
}

impl Running {
    /// The process of this number, if there is one.
    #[must_use]
    pub fn find(id: u32) -> Option<Self> {
        read(id).map(|told| Self { id, begun: told.begun })
    }

    /// What is told of it, if it has not ended.
    #[must_use]
    pub fn told(&self) -> Option<Told> {
        read(self.id).filter(|told| told.begun == self.begun && told.state != 'Z')
    }

    /// Its children, those included that have ended and that it has not asked how.
    ///
    /// # Panics
    ///
    /// If the system lists no processes.
    #[must_use]
    pub fn children(&self) -> Vec<Self> {
        let names = std::fs::read_dir("/proc").expect("a list of processes").filter_map(Result::ok);
        let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let told = numbers.filter_map(|id| Some((id, read(id)?)));
        told.filter(|(_, told)| told.parent == self.id)
            .map(|(id, told)| Self { id, begun: told.begun })
            .collect()
    }

    /// How many descriptors it has, if it lives.
    #[must_use]
    pub fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.id)).ok()?.count())
    }
}

fn read(id: u32) -> Option<Told> {
    parse(&read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The fields of `proc_pid_stat(5)`.
fn parse(stat: &str) -> Option<Told> {
    // The name may have anything in it, parentheses included.
    let (before, after) = (stat.split_once('(')?.1).rsplit_once(") ")?;
    let fields: Vec<&str> = after.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    Some(Told {
        program: before.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        terminal: number(4)?.into(),
        foreground: fields.get(5)?.parse().ok()?,
        begun: fields.get(19)?.parse().ok()?,
    })
}

#[test]
fn fields_are_told_apart_whatever_the_program_is_called() {
    let line = "7 (a) b (c) T 1 2 3 34816 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n";
    let told = parse(line).expect("all fields");
    assert_eq!((told.program.as_str(), told.state, told.parent), ("a) b (c", 'T', 1));
    assert_eq!((told.group, told.session, told.terminal, told.foreground), (2, 3, 34816, -1));
    assert_eq!(told.begun, 4711);
}
