//! Keys of the store's rows. Numbers are big-endian, so that keys sort like what they mean.

use stampede_actors::ids::{BuyerRef, EntityId, HoldId, OrderId, SkuId};
use stampede_actors::order::State;
use stampede_actors::record::Version;
use stampede_actors::sku::RememberedKey;
use stampede_actors::time::{Span, Timestamp};

/// The one row that says how far the store has come.
pub const APPLIED: &[u8] = b"applied";

/// The row that says that the store is not to be believed.
pub const DOUBTFUL: &[u8] = b"doubtful";

/// A point in time as it sorts; nothing happens before 1970.
pub fn time(at: Timestamp) -> [u8; 8] {
    (at.0.max(0) as u64).to_be_bytes()
}

/// Row of [`crate::store::Table::Due`].
pub fn due(at: Timestamp, entity: &EntityId) -> Vec<u8> {
    [&time(at)[..], &entity.key()].concat()
}

/// What a row of [`crate::store::Table::Due`] says.
pub fn read_due(key: &[u8]) -> Option<(Timestamp, EntityId)> {
    let (at, entity) = key.split_first_chunk::<8>()?;
    Some((Timestamp(i64::try_from(u64::from_be_bytes(*at)).ok()?), EntityId::from_key(entity)?))
}

/// A place in a list of orders: they sort by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the order was placed.
    pub at: Timestamp,
    /// Which order.
    pub order: OrderId,
}

impl Place {
    /// Length of its bytes.
    pub const BYTES: usize = 24;

    pub fn bytes(self) -> Vec<u8> {
        [&time(self.at)[..], &self.order.0.to_be_bytes()].concat()
    }

    /// The place at the end of a list row's key.
    pub fn read(key: &[u8]) -> Option<Place> {
        let (_, place) = key.split_last_chunk::<{ Place::BYTES }>()?;
        let (at, order) = place.split_first_chunk::<8>()?;
        let at = Timestamp(i64::try_from(u64::from_be_bytes(*at)).ok()?);
        Some(Place { at, order: OrderId(u128::from_be_bytes(order.try_into().ok()?)) })
    }
}

/// What all rows of a buyer in [`crate::store::Table::OrdersByBuyer`] begin with.
pub fn buyer(buyer: &BuyerRef) -> Vec<u8> {
    [buyer.as_str().as_bytes(), &[0]].concat()
}

/// What all rows of a state in [`crate::store::Table::OrdersByState`] begin with. Never change or reuse a number.
pub fn state(state: State) -> Vec<u8> {
    vec![match state {
        State::AwaitingPayment => 1,
        State::Authorised => 2,
        State::Allocated => 3,
        State::Captured => 4,
        State::FulfilmentRequested => 5,
        State::PartlyShipped => 6,
        State::Fulfilled => 7,
        State::Cancelling => 8,
        State::Cancelled => 9,
        State::Expired => 10,
    }]
}

/// What all rows of a SKU in [`crate::store::Table::Movements`] and [`crate::store::Table::Claims`] begin with.
pub fn sku(sku: &SkuId) -> Vec<u8> {
    [sku.as_str().as_bytes(), &[0]].concat()
}

/// Row of [`crate::store::Table::Claims`].
pub fn claim(of: &SkuId, hold: HoldId) -> Vec<u8> {
    [&sku(of)[..], &hold.0.to_be_bytes()].concat()
}

/// Whose claim a row of [`crate::store::Table::Claims`] is.
pub fn claimed_sku(key: &[u8]) -> Option<SkuId> {
    let (sku, _) = key.split_last_chunk::<16>()?;
    SkuId::new(std::str::from_utf8(sku.strip_suffix(&[0])?).ok()?).ok()
}

/// Row of [`crate::store::Table::Movements`] whose oldest event made this version.
pub fn movements(of: &SkuId, version: Version) -> Vec<u8> {
    [&sku(of)[..], &version.to_be_bytes()].concat()
}

/// Days since 1970: rows of [`crate::store::Table::Remembered`] are dropped by the day.
pub fn day(at: Timestamp) -> u32 {
    u32::try_from(at.0.max(0) / Span::hours(24).0).unwrap_or(u32::MAX)
}

/// Row of [`crate::store::Table::Remembered`].
pub fn remembered(day: u32, of: &SkuId, id: &RememberedKey) -> Vec<u8> {
    [&day.to_be_bytes()[..], &sku(of), &id.to_bytes()].concat()
}

/// The smallest key that is greater than every key that begins with `prefix`; `None`: there is none.
pub fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_what_they_mean() {
        let entity = EntityId::Order(OrderId(7));
        assert!(due(Timestamp(255), &entity) < due(Timestamp(256), &entity));
        assert_eq!(read_due(&due(Timestamp(256), &entity)), Some((Timestamp(256), entity)));
        let place = Place { at: Timestamp(3), order: OrderId(9) };
        assert_eq!(Place::read(&[&b"x\0"[..], &place.bytes()].concat()), Some(place));
        assert_eq!(after(&[1, 255]), Some(vec![2]));
        assert_eq!(after(&[255]), None);
    }
}
