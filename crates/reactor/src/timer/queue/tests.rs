//! The order of timers, against a model that is a sorted list.

use std::time::Duration;

use proptest::prelude::*;

use super::{Due, Removed, TimerId, TimerQueue};
use crate::instant::Instant;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Runs everything that is due at `now` once, and tells the values in order.
fn run_due<T: Clone>(queue: &mut TimerQueue<T>, now: Instant) -> Vec<T> {
    let dues: Vec<_> = std::iter::from_fn(|| queue.pop_due(now)).collect();
    let mut ran = Vec::new();
    for due in dues {
        if let Some(value) = queue.begin(due) {
            ran.push(value);
            assert!(queue.end(due.id, None).is_none());
        }
    }
    ran
}

#[test]
fn t03_equal_deadlines_come_out_in_the_order_they_were_set() {
    let mut queue = TimerQueue::new();
    for number in 0..100 {
        queue.insert(at(7), number);
    }
    assert_eq!(run_due(&mut queue, at(7)), (0..100).collect::<Vec<_>>());
    assert_eq!(queue.len(), 0);
}

#[test]
fn t03_a_reset_counts_as_setting_anew() {
    let mut queue = TimerQueue::new();
    let first = queue.insert(at(7), 'a');
    queue.insert(at(7), 'b');
    assert!(queue.reset(first, at(7)));
    queue.insert(at(7), 'c');
    assert_eq!(run_due(&mut queue, at(9)), ['b', 'a', 'c']);
}

#[test]
fn t04_an_earlier_deadline_comes_first_when_both_are_overdue() {
    let mut queue = TimerQueue::new();
    queue.insert(at(30), 'c');
    queue.insert(at(10), 'a');
    queue.insert(at(20), 'b');
    assert_eq!(run_due(&mut queue, at(1000)), ['a', 'b', 'c']);
}

#[test]
fn t09_a_deadline_too_far_to_express_never_comes() {
    let mut queue = TimerQueue::new();
    let never = queue.insert(at(1) + Duration::MAX, 'n');
    assert_eq!(queue.next_deadline(), None);
    assert_eq!(queue.pop_due(Instant::FAR), None);
    assert_eq!((queue.len(), queue.deadline(never)), (1, Some(Instant::FAR)));
    let last = at(u64::MAX - 1);
    queue.insert(last, 'l');
    assert_eq!(queue.next_deadline(), Some(last));
    assert_eq!(run_due(&mut queue, Instant::FAR), ['l']);
    assert_eq!(queue.remove(never), Removed::Waiting('n'));
}

#[test]
fn t10_a_reset_moves_a_timer_sooner_or_later() {
    let mut queue = TimerQueue::new();
    let first = queue.insert(at(10), 'a');
    let second = queue.insert(at(20), 'b');
    assert!(queue.reset(first, at(30)));
    assert_eq!(queue.next_deadline(), Some(at(20)));
    assert!(queue.reset(second, at(5)));
    assert_eq!(queue.next_deadline(), Some(at(5)));
    assert_eq!(run_due(&mut queue, at(29)), ['b']);
    assert_eq!(run_due(&mut queue, at(30)), ['a']);
    assert!(!queue.reset(first, at(40)));
}

#[test]
fn t10_a_reset_of_a_due_timer_voids_its_ticket() {
    let mut queue = TimerQueue::new();
    let id = queue.insert(at(10), 'a');
    let due = queue.pop_due(at(10)).unwrap();
    assert!(queue.reset(id, at(15)));
    assert_eq!(queue.begin(due), None);
    let again = queue.pop_due(at(15)).unwrap();
    assert_eq!(queue.begin(due), None);
    assert_eq!(queue.begin(again), Some('a'));
    assert_eq!(queue.begin(again), None);
}

#[test]
fn t10_a_reset_inside_its_own_callback_wins() {
    let mut queue = TimerQueue::new();
    let id = queue.insert(at(10), 'a');
    let due = queue.pop_due(at(10)).unwrap();
    let value = queue.begin(due).unwrap();
    assert!(queue.reset(id, at(50)));
    queue.insert(at(50), 'b');
    assert_eq!(queue.deadline(id), Some(at(50)));
    assert_eq!(queue.end(id, Some((at(20), value))), None);
    assert_eq!(queue.next_deadline(), Some(at(50)));
    assert_eq!(run_due(&mut queue, at(50)), ['a', 'b']);
}

#[test]
fn a_one_shot_timer_is_gone_after_its_run_even_if_it_was_reset() {
    let mut queue = TimerQueue::new();
    let id = queue.insert(at(10), 'a');
    let due = queue.pop_due(at(10)).unwrap();
    queue.begin(due);
    assert!(queue.reset(id, at(50)));
    assert_eq!(queue.end(id, None), None);
    assert!(!queue.is_live(id));
    assert_eq!((queue.len(), queue.next_deadline()), (0, None));
}

#[test]
fn a_timer_that_was_removed_while_it_ran_is_not_armed_again() {
    let mut queue = TimerQueue::new();
    let id = queue.insert(at(10), 'a');
    let due = queue.pop_due(at(10)).unwrap();
    let value = queue.begin(due).unwrap();
    assert!(queue.is_live(id));
    assert_eq!(queue.get_mut(id), None);
    assert_eq!(queue.remove(id), Removed::Running);
    assert!(!queue.is_live(id) && !queue.reset(id, at(20)));
    assert_eq!((queue.len(), queue.deadline(id)), (0, None));
    assert_eq!(queue.end(id, Some((at(20), value))), Some('a'));
    assert_eq!(queue.next_deadline(), None);
}

#[test]
fn a_removed_due_timer_does_not_begin_nor_does_its_slots_next_user() {
    let mut queue = TimerQueue::new();
    let id = queue.insert(at(10), 'a');
    let due = queue.pop_due(at(10)).unwrap();
    assert_eq!(queue.remove(id), Removed::Waiting('a'));
    let next = queue.insert(at(10), 'b');
    queue.pop_due(at(10)).unwrap();
    assert_eq!(queue.begin(due), None);
    assert_eq!(queue.get_mut(next), Some(&mut 'b'));
    assert_eq!((queue.remove(id), queue.get_mut(id)), (Removed::Nothing, None));
}

#[test]
fn clearing_hands_back_everything_but_what_runs() {
    let mut queue = TimerQueue::new();
    let ids = [1, 2, 3].map(|number| queue.insert(at(number), number));
    let due = queue.pop_due(at(1)).unwrap();
    let running = queue.begin(due).unwrap();
    queue.pop_due(at(2)).unwrap();
    assert_eq!(queue.clear(), [2, 3]);
    assert!(ids.iter().all(|id| !queue.is_live(*id)));
    assert_eq!(queue.end(ids[0], Some((at(9), running))), Some(1));
    assert_eq!((queue.len(), queue.next_deadline()), (0, None));
}

#[test]
fn t12_cancelled_far_timers_leave_nothing_behind() {
    let mut queue = TimerQueue::new();
    let kept: Vec<_> = (0..10).map(|number| queue.insert(at(number), number)).collect();
    let capacity = queue.heap.capacity();
    for number in 0..100_000 {
        let id = queue.insert(at(1_000_000 + number), number);
        assert_eq!(id.0.index(), kept.len());
        assert_eq!(queue.remove(id), Removed::Waiting(number));
    }
    assert_eq!((queue.len(), queue.heap.len(), queue.heap.capacity()), (10, 10, capacity));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(usize),
    Reset(usize, u64),
    Advance(u64),
    Begin(usize),
    End(usize, Option<u64>),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    // Few distinct deadlines, so that many are equal; one of them never comes.
    let deadline = || prop_oneof![12 => 0..12u64, 1 => Just(u64::MAX)];
    prop_oneof![
        60 => deadline().prop_map(Step::Insert),
        20 => any::<usize>().prop_map(Step::Remove),
        30 => (any::<usize>(), deadline()).prop_map(|(which, delay)| Step::Reset(which, delay)),
        20 => (0..6u64).prop_map(Step::Advance),
        40 => any::<usize>().prop_map(Step::Begin),
        30 => (any::<usize>(), proptest::option::of(deadline())).prop_map(|(which, delay)| Step::End(which, delay)),
        1 => Just(Step::Clear),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Armed,
    Due(u32),
    Running { reset: bool },
}

/// One timer of the model.
#[derive(Clone, Copy, Debug)]
struct Row {
    id: TimerId,
    number: u32,
    deadline: u64,
    sequence: u64,
    phase: Phase,
}

/// A list that is searched for each question, beside the queue under test.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    /// Timers that were removed while they ran, with their values.
    cut: Vec<(TimerId, u32)>,
    dead: Vec<TimerId>,
    tickets: Vec<(Due, u32)>,
    now: u64,
    sequence: u64,
    numbers: u32,
    pops: u32,
}

impl Model {
    fn after(&self, delay: u64) -> u64 {
        self.now.saturating_add(delay)
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn first(&self) -> Option<usize> {
        let armed = (0..self.rows.len()).filter(|row| self.rows[*row].phase == Phase::Armed);
        armed
            .filter(|row| self.rows[*row].deadline != u64::MAX)
            .min_by_key(|row| (self.rows[*row].deadline, self.rows[*row].sequence))
    }

    fn insert(&mut self, queue: &mut TimerQueue<u32>, delay: u64) {
        let (deadline, number, sequence) = (self.after(delay), self.numbers, self.next_sequence());
        self.numbers += 1;
        let id = queue.insert(at(deadline), number);
        assert!(!self.dead.contains(&id));
        let phase = Phase::Armed;
        self.rows.push(Row { id, number, deadline, sequence, phase });
    }

    fn remove(&mut self, queue: &mut TimerQueue<u32>, which: usize) {
        let row = self.rows.remove(which % self.rows.len());
        let running = matches!(row.phase, Phase::Running { .. });
        let expected = if running { Removed::Running } else { Removed::Waiting(row.number) };
        assert_eq!(queue.remove(row.id), expected);
        if running {
            self.cut.push((row.id, row.number));
        }
        self.dead.push(row.id);
    }

    fn reset(&mut self, queue: &mut TimerQueue<u32>, which: usize, delay: u64) {
        let (deadline, sequence) = (self.after(delay), self.next_sequence());
        let which = which % self.rows.len();
        let row = &mut self.rows[which];
        assert!(queue.reset(row.id, at(deadline)));
        (row.deadline, row.sequence) = (deadline, sequence);
        row.phase = match row.phase {
            Phase::Running { .. } => Phase::Running { reset: true },
            Phase::Armed | Phase::Due(_) => Phase::Armed,
        };
    }

    fn advance(&mut self, queue: &mut TimerQueue<u32>, by: u64) {
        self.now += by;
        while let Some(due) = queue.pop_due(at(self.now)) {
            let first = self.first().expect("nothing is due");
            self.pops += 1;
            let row = &mut self.rows[first];
            assert!(row.deadline <= self.now);
            assert_eq!(due.id, row.id);
            row.phase = Phase::Due(self.pops);
            self.tickets.push((due, self.pops));
        }
        assert!(self.first().is_none_or(|first| self.rows[first].deadline > self.now));
    }

    fn begin(&mut self, queue: &mut TimerQueue<u32>, which: usize) {
        let (due, pop) = self.tickets[which % self.tickets.len()];
        let valid = self.rows.iter_mut().find(|row| row.phase == Phase::Due(pop));
        assert_eq!(queue.begin(due), valid.as_ref().map(|row| row.number));
        if let Some(row) = valid {
            row.phase = Phase::Running { reset: false };
        }
    }

    fn end(&mut self, queue: &mut TimerQueue<u32>, which: usize, delay: Option<u64>) {
        if let Some((id, number)) = self.cut.pop() {
            let again = delay.map(|delay| (at(self.after(delay)), number));
            assert_eq!(queue.end(id, again), again.map(|(_, number)| number));
            return;
        }
        let mut running: Vec<_> = (0..self.rows.len()).collect();
        running.retain(|row| matches!(self.rows[*row].phase, Phase::Running { .. }));
        if running.is_empty() {
            return;
        }
        let row = running[which % running.len()];
        let Row { id, number, phase, .. } = self.rows[row];
        let Some(delay) = delay else {
            assert_eq!(queue.end(id, None), None);
            self.rows.remove(row);
            self.dead.push(id);
            return;
        };
        let deadline = self.after(delay);
        assert_eq!(queue.end(id, Some((at(deadline), number))), None);
        if phase == (Phase::Running { reset: false }) {
            self.rows[row].sequence = self.next_sequence();
            self.rows[row].deadline = deadline;
        }
        self.rows[row].phase = Phase::Armed;
    }

    fn clear(&mut self, queue: &mut TimerQueue<u32>) {
        let mut values = queue.clear();
        values.sort_unstable();
        let still = self.rows.iter().filter(|row| !matches!(row.phase, Phase::Running { .. }));
        let mut expected: Vec<_> = still.map(|row| row.number).collect();
        expected.sort_unstable();
        assert_eq!(values, expected);
        let running = self.rows.iter().filter(|row| matches!(row.phase, Phase::Running { .. }));
        self.cut.extend(running.map(|row| (row.id, row.number)));
        self.dead.extend(self.rows.drain(..).map(|row| row.id));
    }

    fn apply(&mut self, queue: &mut TimerQueue<u32>, step: &Step) {
        match *step {
            Step::Insert(delay) => self.insert(queue, delay),
            Step::Remove(which) if !self.rows.is_empty() => self.remove(queue, which),
            Step::Reset(which, delay) if !self.rows.is_empty() => self.reset(queue, which, delay),
            Step::Advance(by) => self.advance(queue, by),
            Step::Begin(which) if !self.tickets.is_empty() => self.begin(queue, which),
            Step::End(which, delay) => self.end(queue, which, delay),
            Step::Clear => self.clear(queue),
            _ => {}
        }
    }

    fn check(&self, queue: &mut TimerQueue<u32>) {
        assert_eq!(queue.len(), self.rows.len());
        let first = self.first().map(|row| at(self.rows[row].deadline));
        assert_eq!(queue.next_deadline(), first);
        for row in &self.rows {
            assert!(queue.is_live(row.id));
            assert_eq!(queue.deadline(row.id), Some(at(row.deadline)));
            let mut number = row.number;
            let running = matches!(row.phase, Phase::Running { .. });
            assert_eq!(queue.get_mut(row.id), (!running).then_some(&mut number));
        }
        for id in &self.dead {
            assert!(!queue.is_live(*id) && queue.deadline(*id).is_none() && !queue.reset(*id, at(0)));
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_operations_agrees_with_a_sorted_list(steps in proptest::collection::vec(step(), 0..120)) {
        let (mut queue, mut model) = (TimerQueue::new(), Model::default());
        for step in &steps {
            model.apply(&mut queue, step);
            model.check(&mut queue);
        }
    }
}
