//! Ids that nobody can guess: derived from a key by HMAC with the server's secret, or drawn at random.
//!
//! A derived id is the same at every repeat of its request, on every thread and after every restart (S15).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stampede_actors::ids::{CartId, OpId, OrderId, SLOTS, Slot, with_slot};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes ids.
#[derive(Clone)]
pub struct Ids {
    secret: Hmac<Sha256>,
}

impl Ids {
    /// Reads the secret from `DIR/secret`, or makes one at the first start (32 random bytes, mode 0600, synced).
    ///
    /// # Errors
    /// When the file cannot be read or written, or has another length.
    pub fn open(data_dir: &Path) -> io::Result<Ids> {
        let path = data_dir.join("secret");
        let mut secret = Vec::new();
        match OpenOptions::new().read(true).open(&path) {
            Ok(mut file) => {
                file.read_to_end(&mut secret)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                secret = rand::random::<[u8; 32]>().to_vec();
                let draft = data_dir.join("secret.new");
                let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
                file.write_all(&secret)?;
                file.sync_all()?;
                std::fs::rename(&draft, &path)?;
                std::fs::File::open(data_dir)?.sync_all()?;
            }
            Err(error) => return Err(error),
        }
        if secret.len() != 32 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} must hold 32 bytes", path.display())));
        }
        Ok(Ids::new(&secret))
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

    fn derive(&self, parts: &[&str]) -> (u128, Slot) {
        let mut mac = self.secret.clone();
        for part in parts {
            // Lengths first, so that no two lists of parts read the same.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let hash = mac.finalize().into_bytes();
        let mut bits = [0u8; 16];
        bits.copy_from_slice(&hash[..16]);
        let slot = u16::from_be_bytes([hash[16], hash[17]]) % SLOTS;
        (u128::from_be_bytes(bits), Slot(slot))
    }
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
        let first = Ids::open(dir.path()).unwrap().order("s", "k");
        assert_eq!(Ids::open(dir.path()).unwrap().order("s", "k"), first);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(dir.path().join("secret")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
