//! Names of things. A SKU carries the marketplace's own code; everything else has a prefix and 128 bits.

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Slots that entities hash to. Baked in for good: changing it would move every entity.
pub const SLOTS: u16 = 4096;

/// Where an entity belongs; `slot -> shard` is data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Wrong length.
    #[error("{what} must have 1 to {max} characters")]
    Length {
        /// Which kind of id.
        what: &'static str,
        /// Longest allowed, in bytes.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("{what} may hold letters, digits and . _ : - only")]
    Characters {
        /// Which kind of id.
        what: &'static str,
    },
    /// Not `prefix_` and 26 base-32 characters.
    #[error("expected {prefix}_ and 26 base-32 characters")]
    Form {
        /// The prefix without the underscore.
        prefix: &'static str,
    },
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Longest allowed, in bytes.
            pub const MAX: usize = $max;

            /// Checks length and characters.
            ///
            /// # Errors
            /// [`BadId`] when empty, too long, or with other characters than `A-Z a-z 0-9 . _ : -`.
            pub fn new(text: &str) -> Result<$name, BadId> {
                if text.is_empty() || text.len() > $max {
                    return Err(BadId::Length { what: $what, max: $max });
                }
                if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-')) {
                    return Err(BadId::Characters { what: $what });
                }
                Ok($name(CompactString::new(text)))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<$name, BadId> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                let text = CompactString::deserialize(d)?;
                $name::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// One sellable item, by the marketplace's own code; unique in it.
    SkuId, "sku", 64
);
text_id!(
    /// Who sells a SKU.
    SellerId, "seller", 64
);
text_id!(
    /// A place that holds stock and can fulfil.
    LocationId, "location", 32
);
text_id!(
    /// The marketplace's opaque reference to a buyer: no personal data.
    BuyerRef, "buyer", 64
);
text_id!(
    /// An opaque reference of somebody else's: delivery address, payment token, tracking number.
    Reference, "reference", 128
);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 base-32 characters (Crockford's alphabet, lower case) of 128 bits.
fn write_base32(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; 26];
    for (i, byte) in text.iter_mut().enumerate() {
        *byte = ALPHABET[((bits >> (5 * (25 - i))) & 31) as usize];
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn read_base32(text: &str) -> Option<u128> {
    if text.len() != 26 {
        return None;
    }
    let mut bits: u128 = 0;
    for (i, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&a| a == byte.to_ascii_lowercase())? as u128;
        if i == 0 && digit > 7 {
            return None;
        }
        bits = (bits << 5) | digit;
    }
    Some(bits)
}

macro_rules! bits_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// The prefix of the text form, without the underscore.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<$name, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(read_base32)
                    .map($name)
                    .ok_or(BadId::Form { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                let text = CompactString::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bits_id!(
    /// A claim on units until a deadline. Named by the client, or derived from its order.
    HoldId, "hld"
);
bits_id!(
    /// A cart; its slot is in its first 12 bits.
    CartId, "crt"
);
bits_id!(
    /// An order; its slot is in its first 12 bits, and is its cart's where it has one.
    OrderId, "ord"
);
bits_id!(
    /// One repeatable operation on an entity (receipt, adjustment, refund, shipment, return, payment attempt …),
    /// derived from its idempotency key.
    OpId, "op"
);

/// Marks `bits` with `slot` in its first 12 bits.
#[must_use]
pub fn with_slot(bits: u128, slot: Slot) -> u128 {
    (bits & (u128::MAX >> 12)) | (u128::from(slot.0) << 116)
}

fn slot_of_bits(bits: u128) -> Slot {
    Slot((bits >> 116) as u16)
}

impl SkuId {
    /// Hash of the code, stable for good.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot((xxhash_rust::xxh3::xxh3_64(self.as_str().as_bytes()) % u64::from(SLOTS)) as u16)
    }
}

impl CartId {
    /// The slot it carries.
    #[must_use]
    pub fn slot(self) -> Slot {
        slot_of_bits(self.0)
    }
}

impl OrderId {
    /// The slot it carries.
    #[must_use]
    pub fn slot(self) -> Slot {
        slot_of_bits(self.0)
    }

    /// The hold of the order's line `index`: the same at every repeat of the same key (S15).
    #[must_use]
    pub fn hold(self, index: usize) -> HoldId {
        let mut bytes = [0u8; 24];
        bytes[..16].copy_from_slice(&self.0.to_be_bytes());
        bytes[16..].copy_from_slice(&(index as u64).to_be_bytes());
        let hash = blake3::hash(&bytes);
        HoldId(u128::from_be_bytes(hash.as_bytes()[..16].try_into().unwrap_or([0; 16])))
    }
}

/// An entity: a kind and an id. Has one writer at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityId {
    /// Stock of one SKU.
    Sku(SkuId),
    /// A cart.
    Cart(CartId),
    /// An order.
    Order(OrderId),
    /// The shop as a whole.
    Shop,
}

impl EntityId {
    /// Where it belongs.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            EntityId::Sku(id) => id.slot(),
            EntityId::Cart(id) => id.slot(),
            EntityId::Order(id) => id.slot(),
            EntityId::Shop => Slot(0),
        }
    }

    /// `sku`, `cart`, `order` or `shop`: the label in metrics and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            EntityId::Sku(_) => "sku",
            EntityId::Cart(_) => "cart",
            EntityId::Order(_) => "order",
            EntityId::Shop => "shop",
        }
    }

    /// Key in the store: kind byte, then the id.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match self {
            EntityId::Sku(id) => [&[1u8], id.as_str().as_bytes()].concat(),
            EntityId::Cart(id) => [&[2u8][..], &id.0.to_be_bytes()].concat(),
            EntityId::Order(id) => [&[3u8][..], &id.0.to_be_bytes()].concat(),
            EntityId::Shop => vec![4],
        }
    }

    /// The entity whose [`EntityId::key`] this is.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<EntityId> {
        let (kind, rest) = key.split_first()?;
        let bits = |rest: &[u8]| Some(u128::from_be_bytes(rest.try_into().ok()?));
        match kind {
            1 => Some(EntityId::Sku(SkuId::new(std::str::from_utf8(rest).ok()?).ok()?)),
            2 => Some(EntityId::Cart(CartId(bits(rest)?))),
            3 => Some(EntityId::Order(OrderId(bits(rest)?))),
            4 if rest.is_empty() => Some(EntityId::Shop),
            _ => None,
        }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntityId::Sku(id) => write!(f, "sku {id}"),
            EntityId::Cart(id) => id.fmt(f),
            EntityId::Order(id) => id.fmt(f),
            EntityId::Shop => f.write_str("shop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = OrderId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string().len(), 30);
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        assert_eq!(OrderId(u128::MAX).to_string().parse::<OrderId>(), Ok(OrderId(u128::MAX)));
        assert!("ord_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<OrderId>().is_err(), "more than 128 bits");
        assert!("crt_00000000000000000000000000".parse::<OrderId>().is_err());
    }

    #[test]
    fn the_slot_hash_never_changes() {
        let slot = |code: &str| SkuId::new(code).map(|sku| sku.slot().0);
        assert_eq!(slot("hoodie-m"), Ok(1768));
        assert_eq!(OrderId(with_slot(7, Slot(4095))).slot(), Slot(4095));
    }

    #[test]
    fn a_code_with_other_characters_is_refused() {
        assert!(SkuId::new("").is_err());
        assert!(SkuId::new("a b").is_err());
        assert!(SkuId::new(&"x".repeat(65)).is_err());
    }
}
