//! `traceparent` of W3C Trace Context, read strictly: what is not exactly right counts as absent, as the standard wants
//! it.

use stampede_actors::trace::TraceLink;

/// Name of the header, in HTTP and in AMQP.
pub const NAME: &str = "traceparent";

/// `00-`, 32 digits, `-`, 16 digits, `-`, two digits.
const LENGTH: usize = 55;

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The caller's span.
    pub link: TraceLink,
    /// The caller keeps its trace. Otherwise it has decided against it.
    pub sampled: bool,
}

/// Reads a header. `None`: malformed.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Parent> {
    let (fixed, more) = value.split_at_checked(LENGTH)?;
    let dashes = [2, 35, 52].iter().all(|at| fixed[*at] == b'-');
    let version = hex(&fixed[..2])?;
    let whole = match version {
        0xff => false,
        0 => more.is_empty(),
        // A later version may add fields behind these.
        _ => more.first().is_none_or(|next| *next == b'-'),
    };
    let link = TraceLink::new(hex(&fixed[3..35])?, u64::try_from(hex(&fixed[36..52])?).ok()?)?;
    let flags = hex(&fixed[53..])?;
    (dashes && whole).then_some(Parent { link, sampled: flags & 1 == 1 })
}

/// Reads a header of a trace that is kept.
#[must_use]
pub fn sampled(value: &str) -> Option<TraceLink> {
    parse(value.as_bytes()).filter(|parent| parent.sampled).map(|parent| parent.link)
}

/// The header of a trace that is kept.
#[must_use]
pub fn write(link: TraceLink) -> String {
    format!("00-{:032x}-{:016x}-01", link.trace(), link.span())
}

/// Small digits only.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_comes_back_as_it_went() {
        let parent = parse(GOOD.as_bytes()).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.link.trace(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(parent.link.span().get(), 0xb7ad_6b71_6920_3331);
        assert_eq!((write(parent.link).as_str(), sampled(GOOD)), (GOOD, Some(parent.link)));
    }

    #[test]
    fn only_the_lowest_flag_is_looked_at() {
        let with = |flags: &str| parse(format!("{}{flags}", &GOOD[..53]).as_bytes()).map(|parent| parent.sampled);
        assert_eq!(
            [with("00"), with("01"), with("03"), with("fe")],
            [Some(false), Some(true), Some(true), Some(false)]
        );
        assert_eq!(sampled(&GOOD.replace("-01", "-00")), None);
    }

    #[test]
    fn a_later_version_may_have_more_behind_it() {
        let later = GOOD.replacen("00", "cc", 1);
        assert!(parse(later.as_bytes()).is_some());
        assert!(parse(format!("{later}-what-the-future-brings").as_bytes()).is_some());
        assert!(parse(format!("{later}.what").as_bytes()).is_none());
    }

    #[test]
    fn what_is_malformed_counts_as_absent() {
        let no_trace = GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let no_span = GOOD.replace("b7ad6b7169203331", &"0".repeat(16));
        let more = format!("{GOOD}-01");
        let wrong = [
            "",
            "00",
            &GOOD[..54],
            &more,
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0x", 1),
            &GOOD.replace('-', "_"),
            &no_trace,
            &no_span,
            &GOOD.replace("-01", "-0g"),
            &format!(" {GOOD}"),
            &GOOD.replace("0af7", "0äf"),
        ];
        for wrong in wrong {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
