//! Records, events and snapshots, as they lie in frames and in the store.

use stampede_actors::{cart, codec, order, sku};

/// The first byte says what it is. What is read is written again and reads the same.
pub fn event(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    match kind % 8 {
        0 => {
            let Ok(record) = codec::decode_record(bytes) else { return };
            let mut again = Vec::new();
            codec::encode_record(&record, &mut again);
            assert_eq!(codec::decode_record(&again), Ok(record));
        }
        1 => again(bytes, sku::codec::decode_event, sku::codec::encode_event),
        2 => again(bytes, cart::codec::decode_event, cart::codec::encode_event),
        3 => again(bytes, order::codec::decode_event, order::codec::encode_event),
        4 => again(bytes, sku::codec::decode_state, sku::codec::encode_state),
        5 => again(bytes, cart::codec::decode_state, cart::codec::encode_state),
        6 => again(bytes, order::codec::decode_state, order::codec::encode_state),
        _ => again(bytes, sku::codec::decode_remembered, sku::codec::encode_remembered),
    }
}

fn again<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, E>,
    encode: fn(&T) -> Vec<u8>,
) {
    let Ok(read) = decode(bytes) else { return };
    assert_eq!(decode(&encode(&read)).unwrap(), read);
}
