//! What is sent: orders of one line, each under a key of its own, and what each kind of them should be answered.

use crate::bench::load::Kind;
use crate::client::{Head, request};
use std::cell::Cell;
use std::fmt::Write;

/// Units of each SKU, and of the hot one: no round ever sells out.
pub const UNITS: u32 = 50_000_000;
/// SKUs that orders are spread over, unless said.
pub const SKUS: u64 = 10_000;

/// Which SKU an order is for, and what it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Any of [`SKUS`]; the request does nothing.
    Noop,
    /// Any of so many.
    Uniform(u64),
    /// Always the same one.
    Hot,
    /// One that has no units.
    SoldOut,
}

/// A stock file: the hot SKU, the one that is sold out, and `skus` others, `sku-0000000` and so on.
#[must_use]
pub fn stock(skus: u64) -> String {
    let mut csv = String::from("sku,seller,location,units,price,currency\n");
    // Writing to a string cannot fail.
    let _ = writeln!(csv, "hot,bench,main,{UNITS},19.99,EUR\nsold-out,bench,main,0,19.99,EUR");
    for index in 0..skus {
        let _ = writeln!(csv, "sku-{index:07},bench,main,{UNITS},19.99,EUR");
    }
    csv
}

/// Orders of one line, each under a key of its own.
#[derive(Debug)]
pub struct Order {
    goal: Goal,
    next: Cell<u64>,
}

impl Order {
    /// The first of many.
    #[must_use]
    pub fn new(goal: Goal) -> Order {
        // Keys are never used twice, not even by the next run on the same server.
        Order { goal, next: Cell::new(rand::random::<u64>() >> 8) }
    }
}

impl Kind for Order {
    fn write(&self, buffer: &mut Vec<u8>) {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut key = Text::<64>::default();
        let _ = write!(key, "\"bench-{number:016x}\"");
        let mut body = Text::<256>::default();
        let _ = write!(body, "{{\"buyer\":\"buyer-{number}\",\"payment_token\":\"tok_ok\",\"lines\":[{{\"sku\":\"");
        // Neighbours in time are no neighbours in the stock, and no SKU is preferred.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let _ = match self.goal {
            Goal::Noop => write!(body, "sku-{:07}", spread % SKUS),
            Goal::Uniform(skus) => write!(body, "sku-{:07}", spread % skus.max(1)),
            Goal::Hot => write!(body, "hot"),
            Goal::SoldOut => write!(body, "sold-out"),
        };
        let _ = write!(body, "\",\"units\":1}}]}}");
        let path = if self.goal == Goal::Noop { "/v1/noop" } else { "/v1/orders" };
        request::write_into(buffer, "POST", path, &[("idempotency-key", key.as_str())], Some(body.as_str()));
    }

    fn is_right(&self, head: &Head) -> bool {
        match self.goal {
            Goal::Noop | Goal::Uniform(_) | Goal::Hot => head.status == 201,
            Goal::SoldOut => head.status == 409,
        }
    }
}

/// A short text on the stack: the generator shares the machine with the server, so it does not allocate per request.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Text<N> {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_whole_and_has_its_own_key() {
        let order = Order::new(Goal::Uniform(SKUS));
        let write = || {
            let mut bytes = Vec::new();
            order.write(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (one, other) = (write(), write());
        assert_ne!(one, other);
        let (_, body) = one.split_once("\r\n\r\n").unwrap_or_default();
        assert!(one.contains(&format!("content-length: {}\r\n", body.len())), "{one}");
        assert!(body.starts_with("{\"buyer\":\"buyer-") && body.ends_with("\",\"units\":1}]}"), "{body}");
    }
}
