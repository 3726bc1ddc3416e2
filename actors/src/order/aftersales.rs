//! What only some orders have: cancellations, refunds, shipments, returns, concerns. Most orders are in memory before they have any,
//! so that all of it is in one piece that is made when it is needed.

use crate::ids::OpId;
use crate::order::state::{Concern, Refund, Return, Shipment, Wish};
use std::ops::{Deref, DerefMut};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Aftersales {
    pub wish: Option<Wish>,
    /// With the fingerprint of each.
    pub cancels: Vec<(OpId, u64)>,
    pub refunds: Vec<Refund>,
    pub shipments: Vec<Shipment>,
    pub returns: Vec<Return>,
    /// With the fingerprint of each.
    pub acknowledgements: Vec<(OpId, u64)>,
    /// Why a person must look.
    pub concerns: Vec<Concern>,
}

static NOTHING: Aftersales = Aftersales {
    wish: None,
    cancels: Vec::new(),
    refunds: Vec::new(),
    shipments: Vec::new(),
    returns: Vec::new(),
    acknowledgements: Vec::new(),
    concerns: Vec::new(),
};

/// Takes no memory while there is nothing. Asked for to be changed, it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Seldom(Option<Box<Aftersales>>);

impl Seldom {
    /// Drops the concerns that `over` names. Makes nothing.
    pub fn settle(&mut self, over: impl Fn(&Concern) -> bool) {
        if !self.concerns.is_empty() {
            self.concerns.retain(|concern| !over(concern));
        }
    }
}

impl From<Aftersales> for Seldom {
    fn from(aftersales: Aftersales) -> Seldom {
        Seldom((aftersales != NOTHING).then(|| Box::new(aftersales)))
    }
}

impl Deref for Seldom {
    type Target = Aftersales;

    fn deref(&self) -> &Aftersales {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Seldom {
    fn deref_mut(&mut self) -> &mut Aftersales {
        self.0.get_or_insert_default()
    }
}

/// Nothing is nothing, made or not.
impl PartialEq for Seldom {
    fn eq(&self, other: &Seldom) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_and_has_nothing_in_it_is_nothing() {
        let mut seldom = Seldom::default();
        assert!(seldom.refunds.is_empty() && seldom.0.is_none(), "looking makes nothing");
        seldom.cancels.push((OpId(1), 2));
        assert_ne!(seldom, Seldom::default());
        seldom.cancels.clear();
        assert!(seldom.0.is_some() && seldom == Seldom::default());
        assert!(Seldom::from(Aftersales::default()).0.is_none());
    }
}
