//! From the protocol down to the wire.

use std::io::IoSlice;

use super::Chain;
use crate::filter::{Down, Filter, FilterError, Flow, SendNow};

impl Chain {
    /// How many of the bytes that were written may go now, and whether there is any limit but their number: bytes from before
    /// a filter came go another way than those from after it.
    pub(crate) fn takes(&self) -> usize {
        let entry = self.entry();
        if self.layers[..entry].iter().all(|layer| layer.takes_bytes() && layer.held.len() < HELD) {
            self.layers.get(entry).map_or(usize::MAX, |layer| layer.before)
        } else {
            0
        }
    }

    /// Whether bytes go through a single filter, which takes them also while the program writes, and nothing is before them.
    pub(crate) fn takes_at_once(&self) -> bool {
        let [layer] = &self.layers[..] else { return false };
        !self.has_wire() && layer.before == 0 && layer.takes_bytes_at_once()
    }

    /// How many of the layers the bytes go through that were written first.
    fn entry(&self) -> usize {
        self.layers.iter().take_while(|layer| layer.before == 0).count()
    }

    /// Takes bytes that were written, no more than [may go](Self::takes), and answers how many it took. What the lowest
    /// filter makes of them may go at once, where nothing waits before it.
    pub(crate) fn seal(&mut self, parts: &[IoSlice<'_>], now: SendNow<'_>) -> Result<usize, FilterError> {
        let entry = self.entry();
        let offered = parts.iter().map(|part| part.len()).sum();
        let taken = match entry.checked_sub(1) {
            None => {
                let wire = self.wire.get_or_insert_default();
                parts.iter().for_each(|part| wire.push_copy(part));
                offered
            }
            Some(index) if self.layers[index].is_finished() => {
                parts.iter().for_each(|part| self.layers[index].held.extend_from_slice(part));
                offered
            }
            Some(index) => {
                let down = if index == 0 {
                    Some(Down::Straight(self.wire.get_or_insert_default(), now))
                } else {
                    None
                };
                let mut taken = 0;
                let called = self.layers[index].call(down, |filter, flow| {
                    taken = filter.outbound(flow, parts)?;
                    Ok(())
                });
                // Also what a filter sent that failed: it tells the peer why.
                let settled = self.settle();
                called.and(settled)?;
                taken.min(offered)
            }
        };
        self.went_the_old_way(taken)?;
        Ok(taken)
    }

    /// So many of the bytes have gone that were written before the newest filters came.
    pub(crate) fn went_the_old_way(&mut self, count: usize) -> Result<(), FilterError> {
        self.layers.iter_mut().for_each(|layer| layer.before = layer.before.saturating_sub(count));
        self.settle()
    }

    /// Calls a filter, and lets what it sent go down as far as it gets.
    pub(super) fn call(
        &mut self,
        index: usize,
        call: impl FnOnce(&mut dyn Filter, &mut Flow<'_>) -> Result<(), FilterError>,
    ) -> Result<(), FilterError> {
        let down = if index == 0 { Some(Down::Wire(self.wire.get_or_insert_default())) } else { None };
        let called = self.layers[index].call(down, call);
        // Also what a filter sent that failed: it tells the peer why.
        let settled = self.settle();
        called.and(settled)
    }

    /// Lets what filters sent go down as far as it gets.
    pub(crate) fn settle(&mut self) -> Result<(), FilterError> {
        for index in (0..self.layers.len()).rev() {
            while self.pass_down(index)? {}
        }
        Ok(())
    }

    /// Lets the layer below have what a filter sent. Whether it took some and has yet to be asked for the rest.
    fn pass_down(&mut self, index: usize) -> Result<bool, FilterError> {
        if self.layers[index].held.is_empty() || self.layers[index].before > 0 {
            return Ok(false);
        }
        let Some(below) = index.checked_sub(1) else {
            let held = std::mem::take(&mut self.layers[0].held);
            self.wire.get_or_insert_default().push_copy(&held);
            return Ok(false);
        };
        let (lower, upper) = self.layers.split_at_mut(index);
        let (lower, upper) = (&mut lower[below], &mut upper[0]);
        if lower.is_finished() {
            lower.held.append(&mut upper.held);
            return Ok(false);
        }
        if !lower.takes_bytes() {
            return Ok(false);
        }
        let down = if below == 0 { Some(Down::Wire(self.wire.get_or_insert_default())) } else { None };
        let (parts, mut taken) = ([IoSlice::new(&upper.held)], 0);
        lower.call(down, |filter, flow| {
            taken = filter.outbound(flow, &parts)?;
            Ok(())
        })?;
        upper.take_off_held(taken);
        Ok(taken > 0 && !upper.held.is_empty())
    }
}

/// With so much that the layer below does not take, a filter is asked for no more.
const HELD: usize = 64 * 1024;
