//! Bytes of a SKU's events, of its snapshot, and of what the store remembers of it.

mod event;
mod remembered;
mod state;

pub use event::{decode_event, encode_event};
pub use remembered::{decode_remembered, encode_remembered};
pub use state::{add_claim, decode_claim, decode_state, encode_claim, encode_state, encode_without_claims};

use super::{Listing, Units};
use crate::codec::Error;
use crate::codec::wire::{self, read_money, read_text};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct ListingMessage {
    #[prost(string, tag = "1")]
    seller: String,
    #[prost(message, optional, tag = "2")]
    price: Option<wire::Money>,
    #[prost(uint32, optional, tag = "3")]
    buyer_limit: Option<Units>,
}

fn write_listing(listing: &Listing) -> ListingMessage {
    ListingMessage {
        seller: listing.seller.to_string(),
        price: Some(listing.price.into()),
        buyer_limit: listing.buyer_limit,
    }
}

fn read_listing(message: &ListingMessage) -> Result<Listing, Error> {
    Ok(Listing {
        seller: read_text(&message.seller, "seller")?,
        price: read_money(message.price, "price")?,
        buyer_limit: message.buyer_limit,
    })
}
