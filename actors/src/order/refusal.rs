//! Why an order says no.

/// Why not. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never placed.
    #[error("no such order")]
    UnknownOrder,
    /// The id (or key) was used with other content.
    #[error("this key was used with a different request")]
    Reused,
    /// No lines, too many, mixed currencies, zero units, or a total beyond what money can count.
    #[error("{0}")]
    Invalid(&'static str),
    /// An attempt is open or its outcome unknown.
    #[error("a payment attempt is still open")]
    PaymentOpen,
    /// Not awaiting payment.
    #[error("the order is not awaiting payment")]
    NotPayable,
    /// All attempts are used up.
    #[error("too many payment attempts")]
    TooManyAttempts,
    /// Too late, or ended already.
    #[error("the order can no longer be cancelled")]
    NotCancellable,
    /// No captured money, or more than was captured and not refunded.
    #[error("nothing left to refund for these lines")]
    NotRefundable,
    /// Not paid, called off, or more units than are left to ship there.
    #[error("these units cannot be shipped")]
    NotShippable,
    /// The warehouse is being asked not to ship these units; ask again once it has answered.
    #[error("these units are being called off")]
    BeingCalledOff,
    /// More units than were shipped and not returned.
    #[error("these units were not shipped")]
    NotReturnable,
    /// No such reason, or a person has acknowledged it already.
    #[error("nothing about this order waits for a person's attention for this reason")]
    NoAttention,
    /// A bounded table of this order (cancellations, refunds, shipments, returns, acknowledgements) is full.
    #[error("too many {what} on this order")]
    TableFull { what: &'static str },
}

impl Refusal {
    /// Stable name: the HTTP `code`, the metric label and the log field are this one word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownOrder => "unknown_order",
            Refusal::Reused => "reused",
            Refusal::Invalid(_) => "invalid_order",
            Refusal::PaymentOpen => "payment_open",
            Refusal::NotPayable => "not_payable",
            Refusal::TooManyAttempts => "too_many_attempts",
            Refusal::NotCancellable => "not_cancellable",
            Refusal::NotRefundable => "not_refundable",
            Refusal::NotShippable => "not_shippable",
            Refusal::BeingCalledOff => "being_called_off",
            Refusal::NotReturnable => "not_returnable",
            Refusal::NoAttention => "no_attention",
            Refusal::TableFull { .. } => "table_full",
        }
    }
}
