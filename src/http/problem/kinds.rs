//! Every code: its status, and what a client may do. The API's description and `docs/problems.md` are written from it.

use std::fmt::Write;

/// What became of the operation that a problem answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing happened, and nothing will.
    NotStarted,
    /// An earlier request with this key is still being worked on.
    InProgress,
    /// It may have happened: repeat the same request with the same key.
    Unknown,
}

impl State {
    /// The word in `operation_state`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::NotStarted => "not_started",
            State::InProgress => "in_progress",
            State::Unknown => "unknown",
        }
    }
}

/// One code.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable name.
    pub code: &'static str,
    /// Names the kind for good.
    pub type_uri: &'static str,
    /// The kind in words: `Sold out`.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// May the same request, with the same key, succeed later?
    pub retryable: bool,
    /// Not earlier than after so many milliseconds; up to half of it is added at random.
    pub retry_after_ms: Option<u32>,
    /// What became of the operation.
    pub state: State,
    /// What it means and what to do.
    pub meaning: &'static str,
}

impl Kind {
    /// Is a changed request under a new key safe?
    #[must_use]
    pub fn safe_new_key(&self) -> bool {
        !self.retryable && self.state == State::NotStarted
    }
}

/// What all type URIs begin with.
const TYPES: &str = "https://stampede.example/problems/";

/// `head`, and behind it the words of a code.
const fn spelt<const N: usize>(head: &str, code: &str, between: u8, capital: bool) -> [u8; N] {
    let (head, code) = (head.as_bytes(), code.as_bytes());
    let mut text = [0; N];
    let mut at = 0;
    while at < N {
        text[at] = match at.checked_sub(head.len()) {
            None => head[at],
            Some(0) if capital => code[0].to_ascii_uppercase(),
            Some(at) if code[at] == b'_' => between,
            Some(at) => code[at],
        };
        at += 1;
    }
    text
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a code is ASCII"),
    }
}

/// How the same request fares when it is sent again.
enum Again {
    /// No better.
    No,
    /// Perhaps better, some time.
    Later,
    /// Perhaps better after so many milliseconds.
    After(u32),
}

const fn kind(
    [code, type_uri, title]: [&'static str; 3],
    status: u16,
    again: Again,
    state: State,
    meaning: &'static str,
) -> Kind {
    let (retryable, retry_after_ms) = match again {
        Again::No => (false, None),
        Again::Later => (true, None),
        Again::After(milliseconds) => (true, Some(milliseconds)),
    };
    Kind { code, type_uri, title, status, retryable, retry_after_ms, state, meaning }
}

/// The list as a page of the documentation.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Problems\n\n\
         Every answer that is not good is `application/problem+json` (RFC 9457). Written from `src/http/problem/kinds.rs` by \
         `UPDATE_DOCS=1 cargo test --lib problem`.\n\n\
         \"Again\" says whether the same request, with the same key, may succeed later; a time is also in `Retry-After`, up to \
         half longer at random. \"State\" is `operation_state`: after `unknown`, repeat the same request with the same key.\n\n\
         | Code | Status | Again | State | Meaning |\n|---|---|---|---|---|\n",
    );
    for kind in ALL {
        let again = match (kind.retryable, kind.retry_after_ms) {
            (false, _) => "no".to_owned(),
            (true, None) => "later".to_owned(),
            (true, Some(milliseconds)) => format!("after {} s", f64::from(milliseconds) / 1000.0),
        };
        let Kind { code, status, state, meaning, .. } = kind;
        let _ = writeln!(page, "| `{code}` | {status} | {again} | `{}` | {meaning} |", state.word());
    }
    page
}

macro_rules! kinds {
    ($( $(#[doc = $meaning:literal])+ $id:ident = $code:literal $status:literal $again:expr, $state:ident; )+) => {
        $(
            $(#[doc = $meaning])+
            pub const $id: Kind = {
                // Put together by the compiler: most answers of a rush are problems.
                const TYPE: [u8; TYPES.len() + $code.len()] = spelt(TYPES, $code, b'-', false);
                const TITLE: [u8; $code.len()] = spelt("", $code, b' ', true);
                let meaning = concat!($($meaning),+).trim_ascii_start();
                kind([$code, text(&TYPE), text(&TITLE)], $status, $again, State::$state, meaning)
            };
        )+

        /// All of them.
        pub const ALL: &[&Kind] = &[$(&$id),+];
    };
}

use Again::{After, Later, No};

kinds! {
    /// The body is not JSON. Nothing was read from it.
    MALFORMED_JSON = "malformed_json" 400 No, NotStarted;
    /// A field or parameter has the wrong type or range, is missing, or is not known: see `errors`.
    VALIDATION_FAILED = "validation_failed" 422 No, NotStarted;
    /// The body must be `Content-Type: application/json`, without a content encoding.
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type" 415 No, NotStarted;
    /// The body is larger than this server takes.
    BODY_TOO_LARGE = "body_too_large" 413 No, NotStarted;
    /// Path, query and headers together are larger than this server takes.
    HEADERS_TOO_LARGE = "headers_too_large" 431 No, NotStarted;
    /// The body did not arrive in time.
    BODY_TIMEOUT = "body_timeout" 408 Later, NotStarted;
    /// There is no such resource.
    UNKNOWN_ROUTE = "unknown_route" 404 No, NotStarted;
    /// The resource does not take this method: see the `Allow` header.
    METHOD_NOT_ALLOWED = "method_not_allowed" 405 No, NotStarted;
    /// This route needs `Authorization: Bearer sk_…`.
    API_KEY_MISSING = "api_key_missing" 401 No, NotStarted;
    /// This is not a key, or it was revoked.
    API_KEY_INVALID = "api_key_invalid" 401 No, NotStarted;

    /// This route needs an `Idempotency-Key` header: send a quoted UUID.
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing" 400 No, NotStarted;
    /// The key must be 1 to 128 visible ASCII characters, once.
    IDEMPOTENCY_KEY_MALFORMED = "idempotency_key_malformed" 400 No, NotStarted;
    /// The key was used with another request: send the original, or a new key for a new intent.
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused" 422 No, NotStarted;
    /// The first request with this key is still being worked on: repeat it.
    IDEMPOTENCY_KEY_IN_FLIGHT = "idempotency_key_in_flight" 409 After(1_000), InProgress;

    /// You ask too often, as buyer, API key or address: see `RateLimit`, and repeat with the same key after the time told.
    RATE_LIMITED = "rate_limited" 429 After(1_000), NotStarted;
    /// The server is saturated: repeat with the same key.
    OVERLOADED = "overloaded" 503 After(1_000), NotStarted;
    /// The server is going down and takes no new purchases: repeat with the same key.
    DRAINING = "draining" 503 After(2_000), NotStarted;
    /// The server has no room for new claims; what was sold is settled meanwhile.
    DISK_FULL = "disk_full" 503 After(5_000), NotStarted;
    /// The commit log has stopped and takes nothing: repeat with the same key once the server is back.
    LOG_STOPPED = "log_stopped" 503 After(5_000), NotStarted;
    /// No answer in time: it may have happened. Repeat the same request with the same key.
    OUTCOME_UNKNOWN = "outcome_unknown" 503 After(1_000), Unknown;
    /// This process stands by for another one, which the detail and the `Stampede-Owner` header name: ask there.
    NOT_OWNER = "not_owner" 421 After(1_000), NotStarted;
    /// The entity could not be read back; nothing was changed.
    NOT_LOADED = "not_loaded" 503 After(2_000), NotStarted;
    /// This entity takes no commands after repeated internal errors; somebody was told.
    QUARANTINED = "quarantined" 503 After(60_000), NotStarted;
    /// A fault of ours; nothing was changed.
    INTERNAL_ERROR = "internal_error" 500 Later, NotStarted;

    /// The server was not started with `fault-injection`: it takes no faults while it runs.
    FAULTS_REFUSED = "faults_refused" 403 No, NotStarted;
    /// The server is going down for good.
    GOING_DOWN = "going_down" 409 No, NotStarted;
    /// The hold belongs to an order: cancel the order instead.
    HOLD_ORDERED = "hold_ordered" 409 No, NotStarted;

    /// The SKU was never listed.
    UNKNOWN_SKU = "unknown_sku" 404 No, NotStarted;
    /// Not enough units are available; holds that run out may bring some back.
    SOLD_OUT = "sold_out" 409 Later, NotStarted;
    /// Not enough units, only because of orders that are still being placed: repeat at once.
    CONTENDED = "contended" 409 After(200), NotStarted;
    /// The sale of this SKU is paused.
    SALE_PAUSED = "sale_paused" 409 Later, NotStarted;
    /// The buyer holds or has bought as many units as one may have.
    BUYER_LIMIT = "buyer_limit" 409 No, NotStarted;
    /// Units must be 1 to 1,000,000,000, and so must the stock.
    BAD_UNITS = "bad_units" 422 No, NotStarted;
    /// A price must not be negative, and a total must be countable.
    BAD_PRICE = "bad_price" 422 No, NotStarted;
    /// A hold of this id exists with other units, buyer or order.
    HOLD_DIFFERS = "hold_differs" 409 No, NotStarted;
    /// The hold was released, ran out, or was never granted.
    HOLD_ENDED = "hold_ended" 404 No, NotStarted;
    /// The hold is firm: cancel its order instead.
    HOLD_ALLOCATED = "hold_allocated" 409 No, NotStarted;
    /// The hold is not firm: it can be released, but neither shipped nor cancelled.
    NOT_ALLOCATED = "not_allocated" 409 No, NotStarted;
    /// The correction would leave fewer units than are held or allocated.
    BELOW_CLAIMED = "below_claimed" 409 Later, NotStarted;
    /// The units do not match what is allocated or shipped.
    WRONG_PARTS = "wrong_parts" 409 No, NotStarted;
    /// A bounded table of this SKU, cart or order is full.
    TABLE_FULL = "table_full" 409 Later, NotStarted;

    /// The cart was never opened.
    UNKNOWN_CART = "unknown_cart" 404 No, NotStarted;
    /// The cart is an order already and cannot change.
    CART_CHECKED_OUT = "cart_checked_out" 409 No, NotStarted;
    /// Nobody touched the cart in time.
    CART_ABANDONED = "cart_abandoned" 410 No, NotStarted;
    /// The cart has no lines.
    CART_EMPTY = "cart_empty" 409 No, NotStarted;
    /// All lines have one currency.
    CURRENCY_MISMATCH = "currency_mismatch" 422 No, NotStarted;
    /// A cart or an order has at most 50 lines.
    TOO_MANY_LINES = "too_many_lines" 422 No, NotStarted;

    /// The price is not the one that was expected: confirm the new one, see `errors`.
    PRICE_CHANGED = "price_changed" 409 No, NotStarted;
    /// The order was never placed.
    UNKNOWN_ORDER = "unknown_order" 404 No, NotStarted;
    /// Lines, units or total are not possible.
    INVALID_ORDER = "invalid_order" 422 No, NotStarted;
    /// A payment attempt is open or its outcome is unknown: wait for it.
    PAYMENT_OPEN = "payment_open" 409 After(1_000), NotStarted;
    /// The order does not await payment.
    NOT_PAYABLE = "not_payable" 409 No, NotStarted;
    /// All payment attempts are used up.
    TOO_MANY_ATTEMPTS = "too_many_attempts" 409 No, NotStarted;
    /// The order can no longer be cancelled.
    NOT_CANCELLABLE = "not_cancellable" 409 No, NotStarted;
    /// Nothing is left to refund for these lines.
    NOT_REFUNDABLE = "not_refundable" 409 No, NotStarted;
    /// Not paid, called off, or more units than are left to ship there.
    NOT_SHIPPABLE = "not_shippable" 409 No, NotStarted;
    /// The warehouse is being asked not to ship these units: repeat once it has answered.
    BEING_CALLED_OFF = "being_called_off" 409 After(1_000), NotStarted;
    /// More units than were shipped and not returned.
    NOT_RETURNABLE = "not_returnable" 409 No, NotStarted;
    /// Nothing about the order waits for a person for this reason, or somebody has acknowledged it already.
    NO_ATTENTION = "no_attention" 409 No, NotStarted;
}
