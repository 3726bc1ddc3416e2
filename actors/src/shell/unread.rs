//! Ids of operations that the store may not have yet (S17). A SKU's own memory holds its newest few; an older one is looked up
//! in the store, which takes the log in a moment later. Until then it is found here.

use crate::ids::SkuId;
use crate::record::Position;
use crate::sku::{Remembered, RememberedKey};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// How many there may be per shard; each takes some 250 bytes. With more the SKUs take no commands until the store catches up.
const MOST: usize = 65_536;

type Key = (SkuId, RememberedKey);

/// The ids of one shard's SKUs, in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    ids: HashMap<Key, (Position, Remembered), FixedState>,
    order: VecDeque<(Position, Key)>,
}

impl Unread {
    /// Is there no room for those of one more event, when the store has read up to `readable`?
    pub fn is_full(&mut self, readable: Position) -> bool {
        self.order.len() >= MOST && {
            self.forget(readable);
            self.order.len() >= MOST
        }
    }

    /// What the record at `position` remembers of a SKU. The store has read up to `readable`.
    pub fn note(&mut self, sku: &SkuId, ids: Vec<(RememberedKey, Remembered)>, position: Position, readable: Position) {
        self.forget(readable);
        for (id, remembered) in ids {
            let key = (sku.clone(), id);
            self.ids.insert(key.clone(), (position, remembered));
            self.order.push_back((position, key));
        }
    }

    /// What is remembered of it since the store has last read.
    pub fn get(&self, sku: &SkuId, id: RememberedKey) -> Option<Remembered> {
        if self.ids.is_empty() {
            return None;
        }
        self.ids.get(&(sku.clone(), id)).map(|(_, remembered)| *remembered)
    }

    fn forget(&mut self, readable: Position) {
        while let Some((position, key)) = self.order.pop_front_if(|(position, _)| *position <= readable) {
            // It may have been noted once more since.
            if self.ids.get(&key).is_some_and(|(noted, _)| *noted == position) {
                self.ids.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;
    use crate::ids::OpId;
    use crate::sku::What;
    use crate::time::Timestamp;

    fn receipt(number: u128, fingerprint: u64) -> (RememberedKey, Remembered) {
        let what = What::Operation { fingerprint };
        (RememberedKey::Receipt(OpId(number)), Remembered { at: Timestamp(1), what })
    }

    #[test]
    fn an_id_is_found_until_the_store_has_read_it() {
        let (mut unread, sku) = (Unread::default(), SkuId::new("mug").unwrap());
        for number in 1..=4_u64 {
            unread.note(&sku, vec![receipt(number.into(), number)], Position(number), Position(0));
        }
        // Noted once more, later.
        unread.note(&sku, vec![receipt(1, 7)], Position(5), Position(3));
        let found = |unread: &Unread, number: u128| unread.get(&sku, receipt(number, 0).0);
        assert_eq!([2, 3].map(|number| found(&unread, number)), [None, None]);
        assert_eq!(found(&unread, 1), Some(receipt(1, 7).1));
        assert_eq!(found(&unread, 4), Some(receipt(4, 4).1));
        assert_eq!(unread.get(&SkuId::new("pen").unwrap(), receipt(4, 0).0), None);
        unread.forget(Position(5));
        assert!(unread.ids.is_empty() && unread.order.is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_waits_for_the_store() {
        let (mut unread, sku) = (Unread::default(), SkuId::new("mug").unwrap());
        for number in 1..=MOST as u64 {
            assert!(!unread.is_full(Position(0)));
            unread.note(&sku, vec![receipt(number.into(), 1)], Position(number), Position(0));
        }
        assert!(unread.is_full(Position(0)));
        assert!(!unread.is_full(Position(1)));
    }
}
