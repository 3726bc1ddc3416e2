//! Where an order belongs in somebody's trace: data that travels with it. Made, and read, outside the domain.

use std::num::NonZeroU64;

/// A trace, and the span under which everything goes on; of a trace that is kept (sampled). One word is never zero, so
/// that the absence of a link takes no room of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceLink {
    high: u64,
    low: u64,
    span: NonZeroU64,
}

impl TraceLink {
    /// Bytes of a link in the log.
    pub const BYTES: usize = 24;

    /// A link to this span of this trace; `None` where one of them is zero, which names nothing.
    #[must_use]
    pub fn new(trace: u128, span: u64) -> Option<TraceLink> {
        let span = NonZeroU64::new(span)?;
        (trace != 0).then_some(TraceLink { high: (trace >> 64) as u64, low: trace as u64, span })
    }

    /// The trace's id; never zero.
    #[must_use]
    pub fn trace(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    /// The span's id.
    #[must_use]
    pub fn span(self) -> NonZeroU64 {
        self.span
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn at(self, span: NonZeroU64) -> TraceLink {
        TraceLink { span, ..self }
    }

    /// As it is kept in the log: trace, then span, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TraceLink::BYTES] {
        let mut bytes = [0; TraceLink::BYTES];
        bytes[..16].copy_from_slice(&self.trace().to_be_bytes());
        bytes[16..].copy_from_slice(&self.span.get().to_be_bytes());
        bytes
    }

    /// Read back; `None`: no bytes of a link.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceLink> {
        let (trace, span) = bytes.split_first_chunk::<16>()?;
        TraceLink::new(u128::from_be_bytes(*trace), u64::from_be_bytes(span.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::TraceLink;

    #[test]
    fn a_link_comes_back_as_it_went() {
        let link = TraceLink::new(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0x00f0_67aa_0ba9_02b7).unwrap();
        let bytes = link.to_bytes();
        assert_eq!(bytes[..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(TraceLink::from_bytes(&bytes), Some(link));
        assert_eq!((link.trace() as u64, link.span().get()), (0x8448_eb21_1c80_319c, 0x00f0_67aa_0ba9_02b7));
    }

    #[test]
    fn nothing_is_no_link_and_takes_no_room() {
        assert_eq!(TraceLink::new(0, 1), None);
        assert_eq!(TraceLink::new(1, 0), None);
        for wrong in [&[][..], &[1; 23], &[1; 25], &[0; 24]] {
            assert_eq!(TraceLink::from_bytes(wrong), None, "{wrong:?}");
        }
        assert_eq!(size_of::<Option<TraceLink>>(), TraceLink::BYTES);
    }
}
