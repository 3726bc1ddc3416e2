//! The label values: each set is an enum, so a value that no set knows cannot be written down.

macro_rules! words {
    ($( $(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? } )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name {
                $($(#[$variant_doc])* $variant),+
            }

            impl $name {
                /// The label values, in the order of the variants.
                pub const WORDS: &'static [&'static str] = &[$($word),+];
            }
        )+
    };
}

words! {
    /// Why a request was refused to protect the node.
    Shed {
        /// All permits of its shard are taken.
        NoPermit = "no_permit",
        /// No answer in time: its outcome is unknown.
        Deadline = "deadline",
        /// The server is going down.
        Draining = "draining",
        /// The queue in front of the log, or a bounded table, is full.
        Busy = "busy",
        /// No space for new claims.
        DiskFull = "disk_full",
        /// As many event streams as allowed are open.
        Streams = "streams",
    }

    /// What an idempotency key led to.
    KeyOutcome {
        /// A first request, whatever became of it.
        New = "new",
        /// The answer of the first request, again.
        Replayed = "replayed",
        /// The first request is still being worked on.
        InFlight = "in_flight_conflict",
        /// The key was used with another request.
        Mismatch = "fingerprint_mismatch",
        /// No key where one is needed.
        Missing = "missing",
        /// Not a usable key.
        Malformed = "malformed",
    }

    /// What became of a purchase.
    Checkout {
        /// An order.
        Accepted = "accepted",
        /// The order of an earlier request with this key.
        Duplicate = "duplicate",
        /// Not enough units.
        SoldOut = "sold_out",
        /// Not enough units only because of orders that are still being placed.
        Contended = "contended",
        /// The buyer has as many as one may have.
        BuyerLimit = "buyer_limit",
        /// The sale is paused.
        Paused = "paused",
        /// The price is not what the buyer saw.
        PriceChanged = "price_changed",
        /// The request was wrong.
        Invalid = "invalid",
        /// The buyer, API key or address asks too often.
        RateLimited = "rate_limited",
        /// Refused before admission: overloaded, draining or disk full.
        NotAdmitted = "not_admitted",
        /// Admitted, and then not answered in time or not taken.
        ShedAfterAdmission = "shed_after_admission",
        /// A fault of ours.
        Error = "error",
    }

    /// Parts of a purchase.
    Stage {
        /// Until the permit.
        Admission = "admission",
        /// From reaching the order to all units being held.
        Reserve = "reserve",
        /// From being placed to being committed.
        Journal = "journal",
        /// Until the answer.
        Total = "total",
    }

    /// What became of an order.
    OrderOutcome {
        /// Placed.
        Placed = "placed",
        /// Its money was captured.
        Paid = "paid",
        /// A payment attempt was declined.
        PaymentFailed = "payment_failed",
        /// Cancelled.
        Cancelled = "cancelled",
        /// Ran out unpaid.
        Expired = "expired",
        /// Money was given back, wholly or partly.
        Refunded = "refunded",
        /// A shipment left.
        Shipped = "shipped",
    }

    /// How a hold ends.
    HoldEnd {
        /// Made firm.
        Confirmed = "confirmed",
        /// Given back.
        Released = "released",
        /// Ran out.
        Expired = "expired",
    }

    /// States of holds.
    HoldState {
        /// Granted.
        Held = "held",
        /// Made firm.
        Confirmed = "confirmed",
        /// Given back.
        Released = "released",
        /// Ran out.
        Expired = "expired",
        /// An allocation that was called off.
        Reclaimed = "reclaimed",
    }
}

/// Why a person must look at an order.
pub const ATTENTION: &[&str] = &[
    "unanswered",
    "unfulfilled",
    "refund_refused",
    "void_refused",
    "fulfilment_refused",
    "stock_refused",
    "contradiction",
];
