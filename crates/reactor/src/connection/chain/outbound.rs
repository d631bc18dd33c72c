//! From the protocol down to the wire.

use std::io::IoSlice;

use super::Chain;
use crate::filter::{Filter, FilterError, Flow};

impl Chain {
    /// How many of the bytes that were written may go now, and whether there is any limit but their number: bytes from before
    /// a filter came go another way than those from after it.
    pub(crate) fn takes(&self) -> usize {
        let entry = self.entry();
        if self.layers[..entry].iter().all(|layer| layer.takes_bytes()) {
            self.layers.get(entry).map_or(usize::MAX, |layer| layer.before)
        } else {
            0
        }
    }

    /// How many of the layers the bytes go through that were written first.
    fn entry(&self) -> usize {
        self.layers.iter().take_while(|layer| layer.before == 0).count()
    }

    /// Takes bytes that were written, no more than [may go](Self::takes), and answers how many it took.
    pub(crate) fn seal(&mut self, parts: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        let entry = self.entry();
        let offered = parts.iter().map(|part| part.len()).sum();
        let taken = if entry == 0 {
            let wire = self.wire.get_or_insert_default();
            parts.iter().for_each(|part| wire.push_copy(part));
            offered
        } else {
            let mut taken = 0;
            self.call(entry - 1, |filter, flow| {
                taken = filter.outbound(flow, parts)?;
                Ok(())
            })?;
            taken.min(offered)
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
        let wire = if index == 0 { Some(&mut **self.wire.get_or_insert_default()) } else { None };
        let called = self.layers[index].call(wire, call);
        // Also what a filter sent that failed: it tells the peer why.
        let settled = self.settle();
        called.and(settled)
    }

    /// Lets what filters sent go down as far as it gets.
    pub(crate) fn settle(&mut self) -> Result<(), FilterError> {
        for index in (0..self.layers.len()).rev() {
            if self.layers[index].held.is_empty() || self.layers[index].before > 0 {
                continue;
            }
            if index == 0 {
                let held = std::mem::take(&mut self.layers[0].held);
                self.wire.get_or_insert_default().push_copy(&held);
                continue;
            }
            let (below, above) = self.layers.split_at_mut(index);
            let (lower, upper) = (&mut below[index - 1], &mut above[0]);
            if !lower.takes_bytes() {
                continue;
            }
            let wire = if index == 1 { Some(&mut **self.wire.get_or_insert_default()) } else { None };
            let parts = [IoSlice::new(&upper.held)];
            let taken = lower.call(wire, |filter, flow| filter.outbound(flow, &parts))?;
            upper.take_off_held(taken);
        }
        Ok(())
    }
}
