//! The shop, by example.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

use super::*;

const T0: Timestamp = Timestamp(1_700_000_000_000_000);

fn deed(id: u128, what: What) -> Deed {
    Deed {
        id: OpId(id),
        fingerprint: 7,
        by: Reference::new("oncall").unwrap(),
        what,
        subject: (what == What::PauseSku).then(|| Words::new("hoodie-m").unwrap()),
        reason: Words::new("the provider is down, INC-42").unwrap(),
    }
}

fn act(shop: &mut Shop, deed: Deed, at: Timestamp) -> Result<bool, Refusal> {
    let events = shop.decide(&Command::Act(deed), Moment::at(at))?;
    events.iter().flatten().for_each(|event| shop.apply(event));
    Ok(events.is_some())
}

fn later(seconds: i64) -> Timestamp {
    T0.plus(crate::time::Span::seconds(seconds))
}

#[test]
fn it_is_paused_from_the_first_pause_until_it_is_resumed() {
    let mut shop = Shop::default();
    assert_eq!(shop.paused_at(), None);
    assert_eq!(act(&mut shop, deed(1, What::PauseShop), T0), Ok(true));
    assert_eq!(act(&mut shop, deed(2, What::PauseShop), later(5)), Ok(true));
    assert_eq!(shop.paused_at(), Some(T0), "paused for as long as it is");
    assert_eq!(act(&mut shop, deed(3, What::PauseSku), later(6)), Ok(true));
    assert_eq!(shop.paused_at(), Some(T0), "of one SKU it is only a note");
    assert_eq!(act(&mut shop, deed(4, What::ResumeShop), later(9)), Ok(true));
    assert_eq!(shop.paused_at(), None);
    let whats: Vec<What> = shop.actions().map(|action| action.deed.what).collect();
    assert_eq!(whats, [What::ResumeShop, What::PauseSku, What::PauseShop, What::PauseShop]);
}

#[test]
fn a_repeat_changes_nothing_and_another_content_is_refused() {
    let mut shop = Shop::default();
    assert_eq!(act(&mut shop, deed(1, What::PauseShop), T0), Ok(true));
    assert_eq!(act(&mut shop, deed(2, What::ResumeShop), later(1)), Ok(true));
    assert_eq!(act(&mut shop, deed(1, What::PauseShop), later(2)), Ok(false));
    assert_eq!(shop.paused_at(), None, "the repeat came late and pauses nothing");
    let other = Deed { fingerprint: 8, ..deed(1, What::PauseShop) };
    assert_eq!(act(&mut shop, other, later(3)), Err(Refusal::Reused));
    assert_eq!(shop.actions().len(), 2);
}

#[test]
fn old_actions_make_room_and_a_pause_outlives_its_own() {
    let mut shop = Shop::default();
    act(&mut shop, deed(1, What::PauseShop), T0).unwrap();
    for id in 2..2 + MAX_ACTIONS as u128 {
        act(&mut shop, deed(id, What::PauseSku), later(1)).unwrap();
    }
    assert_eq!(shop.actions().len(), MAX_ACTIONS);
    assert!(shop.actions().all(|action| action.deed.what == What::PauseSku));
    assert_eq!(shop.paused_at(), Some(T0));
}

#[test]
fn a_repeat_is_known_for_a_day_however_much_was_done_since() {
    let mut shop = Shop::default();
    act(&mut shop, deed(1, What::PauseShop), T0).unwrap();
    act(&mut shop, deed(2, What::ResumeShop), T0).unwrap();
    for id in 3..3 + 2 * MAX_ACTIONS as u128 {
        act(&mut shop, deed(id, What::PauseSku), later(60)).unwrap();
    }
    assert_eq!(act(&mut shop, deed(1, What::PauseShop), later(86_400)), Ok(false));
    assert_eq!(shop.paused_at(), None);
    // The ids of a day ago go when the next deed comes.
    act(&mut shop, deed(9_999, What::PauseSku), later(86_401)).unwrap();
    assert_eq!(shop.known.len(), 2 * MAX_ACTIONS + 1);
    for id in 10_000..10_000 + 2 * MAX_KNOWN as u128 {
        act(&mut shop, deed(id, What::PauseSku), later(86_402)).unwrap();
    }
    assert_eq!((shop.known.len(), shop.actions().len()), (MAX_KNOWN, MAX_ACTIONS));
}

#[test]
fn everything_comes_back_from_its_bytes() {
    let mut shop = Shop::default();
    for (place, what) in What::ALL.into_iter().enumerate() {
        let action = Action { deed: deed(place as u128, what), at: later(place as i64) };
        let event = Event::Acted(action);
        assert_eq!(codec::decode_event(&codec::encode_event(&event)), Ok(event.clone()), "{what:?}");
        shop.apply(&event);
        assert_eq!(codec::decode_state(&codec::encode_state(&shop)), Ok(shop.clone()), "{what:?}");
    }
    assert!(codec::decode_event(&[]).is_err() && codec::decode_event(&[10, 0]).is_err());
}

#[test]
fn words_fit_on_a_line() {
    assert!(Words::new("Anbieter gestört: INC-42, siehe #ops").is_ok());
    assert!(Words::new(&"x".repeat(200)).is_ok());
    for bad in ["", "  ", "two\nlines", "bell\u{7}", &"x".repeat(201)] {
        assert_eq!(Words::new(bad), Err(BadWords), "{bad:?}");
    }
}
