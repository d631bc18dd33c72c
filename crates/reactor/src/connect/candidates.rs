//! Addresses, in the order in which they are tried.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::address::Address;
use crate::resolve::Family;

/// The addresses of a target that are still to be tried. The families take turns (RFC 8305, section 4, with one address of the
/// first family), and within each the order is kept. Pure logic.
#[derive(Debug)]
pub(super) struct Candidates {
    /// What the endpoint itself names, if that has no family.
    local: Option<Address>,
    v4: VecDeque<SocketAddr>,
    v6: VecDeque<SocketAddr>,
    /// Whose turn it is, if it has an address.
    next: Family,
    /// The family of the local address, if one was chosen: nothing else can be connected to from there.
    only: Option<Family>,
    /// Whether there were addresses of another family than that.
    skipped: bool,
}

impl Candidates {
    pub(super) fn new(bind: Option<SocketAddr>) -> Self {
        Self {
            local: None,
            v4: VecDeque::new(),
            v6: VecDeque::new(),
            next: Family::V6,
            only: bind.as_ref().map(Family::of),
            skipped: false,
        }
    }

    /// Whether addresses of this family can be connected to.
    pub(super) fn accepts(&self, family: Family) -> bool {
        self.only.is_none_or(|only| only == family)
    }

    /// Adds what the endpoint itself names.
    pub(super) fn add_literal(&mut self, address: Address) {
        match address {
            Address::Inet(address) => self.add(vec![address]),
            _ if self.only.is_some() => self.skipped = true,
            local => self.local = Some(local),
        }
    }

    /// Adds these behind those that are there. The others of the same family keep their place.
    pub(super) fn add(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            let family = Family::of(&address);
            if self.accepts(family) {
                self.of(family).push_back(address);
            } else {
                self.skipped = true;
            }
        }
    }

    /// Lets this family have the next turn.
    pub(super) fn begin_with(&mut self, family: Family) {
        self.next = family;
    }

    pub(super) fn pop(&mut self) -> Option<Address> {
        if let Some(local) = self.local.take() {
            return Some(local);
        }
        let next = self.next;
        let family = if self.of(next).is_empty() { next.other() } else { next };
        let address = self.of(family).pop_front()?;
        self.next = family.other();
        Some(address.into())
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.local.is_some()) + self.v4.len() + self.v6.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn skipped_some(&self) -> bool {
        self.skipped
    }

    fn of(&mut self, family: Family) -> &mut VecDeque<SocketAddr> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u8) -> SocketAddr {
        ([10, 0, 0, number], 80).into()
    }

    fn v6(number: u16) -> SocketAddr {
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 80).into()
    }

    fn rest(candidates: &mut Candidates) -> Vec<SocketAddr> {
        std::iter::from_fn(|| candidates.pop()?.as_inet()).collect()
    }

    #[test]
    fn the_families_take_turns_and_each_keeps_its_order() {
        let mut candidates = Candidates::new(None);
        candidates.add(vec![v4(1), v4(2), v4(3), v6(1), v6(2)]);
        assert_eq!(candidates.len(), 5);
        assert_eq!(rest(&mut candidates), [v6(1), v4(1), v6(2), v4(2), v4(3)]);
        assert!(candidates.is_empty() && !candidates.skipped_some());
    }

    #[test]
    fn the_family_that_is_to_begin_begins() {
        let mut candidates = Candidates::new(None);
        candidates.add(vec![v4(1), v6(1), v6(2), v4(2)]);
        candidates.begin_with(Family::V4);
        assert_eq!(rest(&mut candidates), [v4(1), v6(1), v4(2), v6(2)]);
    }

    #[test]
    fn what_comes_later_has_its_turn_when_the_other_family_had_one() {
        let mut candidates = Candidates::new(None);
        candidates.add(vec![v6(1), v6(2), v6(3)]);
        assert_eq!(candidates.pop(), Some(v6(1).into()));
        candidates.add(vec![v4(1)]);
        assert_eq!(rest(&mut candidates), [v4(1), v6(2), v6(3)]);
    }

    #[test]
    fn only_the_family_of_the_local_address_is_tried() {
        let mut candidates = Candidates::new(Some(v4(9)));
        candidates.add(vec![v6(1), v4(1), v6(2), v4(2)]);
        assert!(candidates.accepts(Family::V4) && !candidates.accepts(Family::V6));
        assert_eq!(rest(&mut candidates), [v4(1), v4(2)]);
        assert!(candidates.skipped_some());
    }
}
