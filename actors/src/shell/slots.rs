//! The waiting askers of a lane: one slot each, used again and again.

use crate::shell::fabric::LaneId;
use crate::shell::message::{Done, Failure, Reply};
use std::task::{Poll, Waker};

/// Where an asker waits. The generation tells a late answer from one for the slot's next user (S12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplySlot {
    pub(super) lane: LaneId,
    slot: u32,
    generation: u32,
}

/// The waiting askers of a lane.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    /// The tick at which its asker gives up.
    due: u64,
    /// The same, should the answer be that of an earlier request which is not committed yet.
    repeat_due: Option<u64>,
    waker: Option<Waker>,
    state: SlotState,
}

enum SlotState {
    Free,
    Waiting,
    /// Answered, but what it rests on is not committed yet.
    Held(Result<Done, Failure>),
    Ready(Result<Done, Failure>),
}

impl Slots {
    pub fn take(&mut self, lane: LaneId, due: u64, repeat_due: Option<u64>) -> ReplySlot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, due: 0, repeat_due: None, waker: None, state: SlotState::Free });
            (self.slots.len() - 1) as u32
        });
        let entry = &mut self.slots[slot as usize];
        entry.state = SlotState::Waiting;
        (entry.due, entry.repeat_due) = (due, repeat_due);
        ReplySlot { lane, slot, generation: entry.generation }
    }

    fn get(&mut self, at: ReplySlot) -> Option<&mut Slot> {
        self.slots.get_mut(at.slot as usize).filter(|slot| slot.generation == at.generation)
    }

    pub fn answered(&mut self, at: ReplySlot, reply: Reply) -> Option<ReplySlot> {
        let slot = self.get(at).filter(|slot| matches!(slot.state, SlotState::Waiting))?;
        slot.state = SlotState::Held(reply.result);
        Some(at)
    }

    pub fn let_go(&mut self, at: ReplySlot) {
        if let Some(slot) = self.get(at)
            && let SlotState::Held(_) = slot.state
            && let SlotState::Held(result) = std::mem::replace(&mut slot.state, SlotState::Free)
        {
            slot.ready(result);
        }
    }

    pub fn fail(&mut self, at: ReplySlot, failure: Failure) {
        if let Some(slot) = self.get(at) {
            slot.ready(Err(failure));
        }
    }

    pub fn fail_overdue(&mut self, now: u64) {
        for slot in &mut self.slots {
            match &slot.state {
                SlotState::Held(Ok(Done { replayed: true, .. })) if slot.repeat_due.is_some_and(|due| due <= now) => {
                    slot.ready(Err(Failure::InFlight));
                }
                SlotState::Waiting | SlotState::Held(_) if slot.due <= now => {
                    slot.ready(Err(Failure::OutcomeUnknown));
                }
                SlotState::Waiting | SlotState::Held(_) | SlotState::Free | SlotState::Ready(_) => {}
            }
        }
    }

    pub fn poll(&mut self, at: ReplySlot, waker: &Waker) -> Poll<Result<Done, Failure>> {
        let Some(slot) = self.get(at) else { return Poll::Ready(Err(Failure::OutcomeUnknown)) };
        match std::mem::replace(&mut slot.state, SlotState::Free) {
            SlotState::Ready(result) => Poll::Ready(result),
            waiting => {
                slot.state = waiting;
                if !slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    slot.waker = Some(waker.clone());
                }
                Poll::Pending
            }
        }
    }

    pub fn free(&mut self, at: ReplySlot) {
        if let Some(slot) = self.get(at) {
            slot.generation = slot.generation.wrapping_add(1);
            slot.waker = None;
            slot.state = SlotState::Free;
            self.free.push(at.slot);
        }
    }
}

impl Slot {
    fn ready(&mut self, result: Result<Done, Failure>) {
        self.state = SlotState::Ready(result);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
