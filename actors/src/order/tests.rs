//! The rules of an order, one by one, and under random commands.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attention;
mod cancelling;
mod golden;
mod paying;
mod placing;
mod random;
mod shipping;
mod waiting;

use super::*;
use crate::ids::OrderId;
use crate::time::Moment;
use iso_currency::Currency;

pub(super) const T0: Timestamp = Timestamp(1_750_000_000_000_000);
pub(super) const HOLDS: Span = Span::minutes(10);

pub(super) fn terms() -> Terms {
    Terms {
        ask_again: Span::seconds(30),
        ask_stock_again: Span::seconds(5),
        attention_after: 3,
        fulfil_within: Span::hours(48),
        payment_attempts: 3,
    }
}

pub(super) fn eur(minor: i64) -> Money {
    Money { minor, currency: Currency::EUR }
}

pub(super) fn location(name: &str) -> LocationId {
    LocationId::new(name).unwrap()
}

pub(super) fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn line(index: usize, sku: &str, units: Units, price: i64, parts: &[(&str, Units)]) -> Line {
    Line {
        sku: SkuId::new(sku).unwrap(),
        seller: SellerId::new("acme").unwrap(),
        units,
        unit_price: eur(price),
        hold: OrderId(7).hold(index),
        parts: parts.iter().map(|(name, units)| Part { location: location(name), units: *units }).collect(),
    }
}

/// Two units of `mug` at 10.00 in Berlin, three of `pen` at 1.00, one in Berlin and two in Hamburg: 23.00.
pub(super) fn placement() -> Placement {
    Placement {
        cart: None,
        buyer: BuyerRef::new("buyer-1").unwrap(),
        delivery: Some(reference("address-1")),
        token: reference("tok_ok"),
        fingerprint: 42,
        lines: vec![
            line(0, "mug", 2, 1000, &[("berlin", 2)]),
            line(1, "pen", 3, 100, &[("berlin", 1), ("hamburg", 2)]),
        ],
        hold_expires_at: T0.plus(HOLDS),
        trace: None,
    }
}

pub(super) const MUG: u32 = 0;
pub(super) const PEN: u32 = 1;
pub(super) const CANCEL: OpId = OpId(1_000);
pub(super) const REFUND: OpId = OpId(2_000);

pub(super) fn done() -> Answer {
    Answer::Done { reference: Some(reference("ref-1")) }
}

pub(super) fn no() -> Answer {
    Answer::Refused { code: "no".to_owned() }
}

pub(super) fn report(step: Step, answer: Answer) -> Command {
    Command::Report { step, answer }
}

pub(super) fn cancel() -> Command {
    Command::Cancel { cancel: CANCEL, fingerprint: 1, reason: "changed_mind".to_owned() }
}

pub(super) fn pay(payment: u128) -> Command {
    Command::Pay { payment: OpId(payment), fingerprint: 1, token: reference("tok_2") }
}

pub(super) fn units(lines: &[(u32, Units)]) -> Vec<LineUnits> {
    lines.iter().map(|&(line, units)| LineUnits { line, units }).collect()
}

pub(super) fn refund(id: u128, lines: &[(u32, Units)]) -> Command {
    Command::Refund { refund: OpId(id), fingerprint: 1, lines: units(lines), restock: true }
}

pub(super) fn ship(id: u128, from: &str, lines: &[(u32, Units)]) -> Command {
    let location = location(from);
    Command::Ship { shipment: OpId(id), fingerprint: 1, location, lines: units(lines), tracking: None }
}

pub(super) fn take_back(id: u128, lines: &[(u32, Units)]) -> Command {
    let location = location("berlin");
    Command::Return { return_id: OpId(id), fingerprint: 1, location, lines: units(lines), restock: true }
}

pub(super) fn acknowledge(id: u128, reason: Option<Attention>) -> Command {
    let fingerprint = reason.map_or(1, |reason| 2 + reason as u64);
    Command::Acknowledge { acknowledgement: OpId(id), fingerprint, reason, note: reference("ticket-1") }
}

/// An order with a history: given these commands, when this one, then that.
#[derive(Default)]
pub(super) struct Case {
    pub order: Order,
    now: Timestamp,
}

impl Case {
    pub fn placed() -> Case {
        let mut case = Case { now: T0, ..Case::default() };
        case.given(Command::Place(placement()));
        case
    }

    pub fn authorised() -> Case {
        Case::placed().and(report(Step::Authorize { attempt: 1 }, done()))
    }

    pub fn allocated() -> Case {
        Case::authorised().and(report(Step::Allocate, done()))
    }

    pub fn captured() -> Case {
        Case::allocated().and(report(Step::Capture { attempt: 1 }, done()))
    }

    /// Captured, and the warehouse has accepted.
    pub fn accepted() -> Case {
        Case::captured().and(report(Step::Fulfil, done()))
    }

    pub fn and(mut self, command: Command) -> Case {
        self.given(command);
        self
    }

    pub fn at(mut self, after: Span) -> Case {
        self.now = T0.plus(after);
        self
    }

    fn decide(&self, command: &Command) -> Result<Option<Vec<Event>>, Refusal> {
        self.order.decide(command, Moment::at(self.now), &terms())
    }

    #[track_caller]
    fn given(&mut self, command: Command) {
        let events = self.decide(&command).unwrap().expect("a given command changes something");
        events.iter().for_each(|event| self.order.apply(event));
    }

    /// The command makes just these events, and is a repeat afterwards.
    #[track_caller]
    pub fn then(mut self, command: Command, expected: &[&str]) -> Case {
        let events = self.decide(&command).unwrap().unwrap_or_default();
        let words: Vec<String> = events.iter().map(words).collect();
        assert_eq!(words, expected);
        events.iter().for_each(|event| self.order.apply(event));
        assert_eq!(self.decide(&command), Ok(None), "a repeat changes nothing");
        self
    }

    #[track_caller]
    pub fn nothing(self, command: Command) -> Case {
        assert_eq!(self.decide(&command), Ok(None));
        self
    }

    #[track_caller]
    pub fn refuses(self, command: Command, refusal: Refusal) -> Case {
        assert_eq!(self.decide(&command), Err(refusal));
        self
    }

    #[track_caller]
    pub fn is(self, state: State) -> Case {
        assert_eq!(self.order.state(), Some(state));
        self
    }

    #[track_caller]
    pub fn needs(self, attention: Option<Attention>) -> Case {
        assert_eq!(self.order.attention(), attention);
        self
    }

    #[track_caller]
    pub fn wakes(self, after: Option<Span>) -> Case {
        assert_eq!(self.order.deadline(), after.map(|after| T0.plus(after)));
        self
    }
}

/// An event in a few words.
fn words(event: &Event) -> String {
    match event {
        Event::Placed { total, .. } => format!("placed {}", total.minor),
        Event::PaymentRetried { attempt, .. } => format!("attempt {attempt}"),
        Event::Opened { step, .. } => format!("open {}", step.word()),
        Event::Asked { step, tries, .. } => format!("ask {} {tries}", step.word()),
        Event::Answered { step, answer: Answer::Done { .. }, .. } => format!("{} done", step.word()),
        Event::Answered { step, .. } => format!("{} refused", step.word()),
        Event::CancelRequested { .. } => "wish".to_owned(),
        Event::Cancelled { reason, .. } => format!("cancelled {reason}"),
        Event::Expired { .. } => "expired".to_owned(),
        Event::RefundRequested { amount, withheld, .. } => {
            format!("refund {} withheld {}", amount.minor, withheld.iter().map(|part| part.units).sum::<Units>())
        }
        Event::Shipped { .. } => "shipped".to_owned(),
        Event::Returned { .. } => "returned".to_owned(),
        Event::AttentionNeeded { reason, .. } => format!("attention {}", reason.word()),
        Event::AttentionAcknowledged { note, .. } => format!("acknowledged {note}"),
    }
}
