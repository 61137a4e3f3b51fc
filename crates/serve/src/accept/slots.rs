//! Places for connections, and for requests: each address block has a share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// What is open from each address block.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    open: Arc<Mutex<HashMap<IpAddr, u64>>>,
    /// `0` is no limit.
    each_max: u64,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    open: Arc<Mutex<HashMap<IpAddr, u64>>>,
    block: IpAddr,
}

impl Slots {
    pub(crate) fn new(each_max: u64) -> Self {
        Self { open: Arc::default(), each_max }
    }

    /// Takes a place for `address`, unless its block has all of its share.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Slot> {
        self.take_of(address, 0)
    }

    /// The same, where a share may be smaller for now; `0` is as large as ever.
    pub(super) fn take_of(&self, address: IpAddr, share: u64) -> Option<Slot> {
        let block = block(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(block).or_insert(0);
        if [self.each_max, share].iter().any(|most| *most > 0 && *count >= *most) {
            return None;
        }
        *count += 1;
        Some(Slot { open: Arc::clone(&self.open), block })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.block) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.block);
            }
        }
    }
}

/// The block that limits count by, as text: an IPv4 address, or the /64 of an IPv6 address, which one household or
/// one rented machine has all of.
#[must_use]
pub fn address_block(address: IpAddr) -> String {
    match block(address) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{address}/64"),
    }
}

/// The same as an address: the block's first.
pub(crate) fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_counted_by_its_network() {
        let check = |address: &str, expect: &str| assert_eq!(address_block(address.parse().unwrap()), expect);
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    }

    #[test]
    fn a_place_is_free_again_when_left() {
        let slots = Slots::new(1);
        let address = "192.0.2.7".parse().unwrap();
        let first = slots.take(address).unwrap();
        assert!(slots.take(address).is_none());
        assert!(slots.take("192.0.2.8".parse().unwrap()).is_some());
        drop(first);
        let two = Slots::new(2);
        let _one = two.take_of(address, 1).unwrap();
        assert!(two.take_of(address, 1).is_none() && two.take_of(address, 9).is_some());
        assert!(slots.take(address).is_some());
        assert!(slots.open.lock().unwrap().is_empty());
    }
}
