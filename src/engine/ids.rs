//! Ids that nobody can guess: derived from a key by HMAC with the server's secret, or drawn at random.
//!
//! A derived id is the same at every repeat of its request, on every thread and after every restart (S15).

use crate::journal::frame::crc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stampede_actors::ids::{CartId, OpId, OrderId, SLOTS, Slot, with_slot};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of the secret.
const SECRET: usize = 32;

/// Makes ids.
#[derive(Clone)]
pub struct Ids {
    secret: Hmac<Sha256>,
}

impl Ids {
    /// Reads the secret from `DIR/secret`, or makes one (mode 0600, synced) for a log that is `new`: 32 random bytes and
    /// their CRC-32C. With another secret a repeated key would become another order, so one that is damaged or gone is
    /// refused.
    ///
    /// # Errors
    /// When the file cannot be read or written; [`io::ErrorKind::InvalidData`] when it is not the one of this log.
    pub fn open(data_dir: &Path, new: bool) -> io::Result<Ids> {
        let path = data_dir.join("secret");
        let damaged = |what: &str| {
            let what =
                format!("{} {what}: keys repeated after a restart rest on it; put it back from a copy", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        let mut file = Vec::new();
        match OpenOptions::new().read(true).open(&path) {
            Ok(mut there) => drop(there.read_to_end(&mut file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && new => {
                let secret: [u8; SECRET] = rand::random();
                file = [&secret[..], &crc(&secret).to_le_bytes()].concat();
                make(data_dir, &path, &file)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is missing")),
            Err(error) => return Err(error),
        }
        whole(&file).map(|secret| Ids::new(secret)).ok_or_else(|| damaged("is damaged"))
    }

    /// With the secret that all processes of a cell share. A copy is kept in `DIR/secret`: another cell's directory is
    /// refused.
    ///
    /// # Errors
    /// When the file cannot be read or written; [`io::ErrorKind::InvalidData`] when it holds another secret.
    pub fn shared(data_dir: &Path, secret: &[u8; SECRET]) -> io::Result<Ids> {
        let path = data_dir.join("secret");
        let expected = [&secret[..], &crc(secret).to_le_bytes()].concat();
        match std::fs::read(&path) {
            Ok(there) if there == expected => {}
            Ok(_) => {
                let what = format!("{} is not the secret of this cell: use another data directory", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(data_dir, &path, &expected)?,
            Err(error) => return Err(error),
        }
        Ok(Ids::new(secret))
    }

    /// With this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Ids {
        let Ok(secret) = Hmac::new_from_slice(secret) else { unreachable!("HMAC takes keys of every length") };
        Ids { secret }
    }

    /// The order of an express request, slot included. `scope`: route and, where one is needed, API key.
    #[must_use]
    pub fn order(&self, scope: &str, key: &str) -> OrderId {
        let (bits, slot) = self.derive(&["order", scope, key]);
        OrderId(with_slot(bits, slot))
    }

    /// The order that a cart becomes: one, whatever key asks for it. It shares the cart's slot, and so its shard.
    #[must_use]
    pub fn order_of_cart(&self, cart: CartId) -> OrderId {
        let (bits, _) = self.derive(&["order of cart", &cart.to_string()]);
        OrderId(with_slot(bits, cart.slot()))
    }

    /// The cart that a request opens.
    #[must_use]
    pub fn cart(&self, scope: &str, key: &str) -> CartId {
        let (bits, slot) = self.derive(&["cart", scope, key]);
        CartId(with_slot(bits, slot))
    }

    /// The operation that a request asks for.
    #[must_use]
    pub fn op(&self, scope: &str, key: &str) -> OpId {
        OpId(self.derive(&["op", scope, key]).0)
    }

    /// A key for another purpose than ids.
    #[must_use]
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        self.mac(&["key", purpose])
    }

    fn derive(&self, parts: &[&str]) -> (u128, Slot) {
        let hash = self.mac(parts);
        let mut bits = [0u8; 16];
        bits.copy_from_slice(&hash[..16]);
        let slot = u16::from_be_bytes([hash[16], hash[17]]) % SLOTS;
        (u128::from_be_bytes(bits), Slot(slot))
    }

    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.secret.clone();
        for part in parts {
            // Lengths first, so that no two lists of parts read the same.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// The secret in the bytes of its file; `None` when they are damaged.
fn whole(file: &[u8]) -> Option<&[u8; SECRET]> {
    let (secret, sum) = file.split_first_chunk::<SECRET>()?;
    (sum == crc(secret).to_le_bytes()).then_some(secret)
}

/// Is this what a whole file `secret` holds?
#[must_use]
pub fn is_whole_secret(file: &[u8]) -> bool {
    whole(file).is_some()
}

/// Makes the file, durably, or nothing.
fn make(data_dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = data_dir.join("secret.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn s15_the_same_key_is_the_same_order_and_another_is_another() {
        let ids = Ids::new(&[7; 32]);
        assert_eq!(ids.order("POST /v1/orders", "a"), ids.order("POST /v1/orders", "a"));
        assert_ne!(ids.order("POST /v1/orders", "a"), ids.order("POST /v1/orders", "b"));
        assert_ne!(ids.order("x", "ya"), ids.order("xy", "a"), "no two lists of parts read the same");
        assert_ne!(ids.order("x", "a"), Ids::new(&[8; 32]).order("x", "a"), "not without the secret");
    }

    #[test]
    fn a_carts_order_shares_its_slot() {
        let ids = Ids::new(&[7; 32]);
        let cart = ids.cart("POST /v1/carts", "k");
        assert_eq!(ids.order_of_cart(cart).slot(), cart.slot());
    }

    #[test]
    fn the_secret_survives_and_is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ids::open(dir.path(), true).unwrap().order("s", "k");
        assert_eq!(Ids::open(dir.path(), false).unwrap().order("s", "k"), first);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(dir.path().join("secret")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn s15_a_secret_that_is_damaged_or_gone_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Ids::open(dir.path(), true).unwrap();
        let path = dir.path().join("secret");
        let whole = std::fs::read(&path).unwrap();
        let refused = |new| match Ids::open(dir.path(), new) {
            Err(error) => (error.kind(), error.to_string().contains(path.to_str().unwrap())),
            Ok(_) => panic!("taken"),
        };
        let as_damage = (io::ErrorKind::InvalidData, true);
        for byte in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 4;
            std::fs::write(&path, flipped).unwrap();
            assert_eq!(refused(true), as_damage, "byte {byte}");
        }
        for bytes in [&whole[..0], &whole[..20], &whole[..32], &[whole.clone(), vec![0]].concat()] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(refused(false), as_damage, "{} bytes", bytes.len());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(refused(false), as_damage);
        assert!(!path.exists(), "and none is made in its place");
        Ids::open(dir.path(), true).unwrap();
    }
}
