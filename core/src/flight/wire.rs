//! Values as bytes: how a recording carries settings, configurations and the starts of sessions.
//!
//! Numbers are eight bytes, little end first; lists and texts begin with their length; enums with
//! the number of their variant. What is read is not trusted: every length is checked against what
//! is left, and whatever does not fit is `None`.
//!
//! Ready-made TLS settings cannot be written: of them a mark is, and a reader puts its own in.

mod config;

pub use config::Stored;

use crate::config::*;
use crate::input::Address;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// A value that can be written into a recording, and read back.
pub(crate) trait Wire: Sized {
    /// Appends the value to `out`.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value from the front of `from`; `None` if there is none.
    fn get(from: &mut &[u8]) -> Option<Self>;
}

/// Implements [`Wire`] for a struct, field by field; one may be left out, and is `None` then.
macro_rules! wired {
    ($name:ty { $($field:ident),* $(,)? } $(without $none:ident)?) => {
        impl $crate::flight::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::flight::wire::Wire::put(&self.$field, out);)*
            }
            fn get(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::flight::wire::Wire::get(from)?;)*
                Some(Self { $($field,)* $($none: None)? })
            }
        }
    };
}
pub(super) use wired;

/// Implements [`Wire`] for an enum whose variants hold one value each, or none.
macro_rules! wired_enum {
    ($name:ty { $($number:literal => $variant:ident $(($value:ident))?),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($value))? => {
                        out.push($number);
                        $($value.put(out);)?
                    })*
                }
            }
            fn get(from: &mut &[u8]) -> Option<Self> {
                match u8::get(from)? {
                    $($number => {
                        $(let $value = Wire::get(from)?;)?
                        Some(Self::$variant $(($value))?)
                    })*
                    _ => None,
                }
            }
        }
    };
}

use wired_enum;

impl Wire for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        let (&first, rest) = from.split_first()?;
        *from = rest;
        Some(first)
    }
}

macro_rules! wired_numbers {
    ($($number:ty)*) => {$(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                // No number here has more than 64 bits.
                let wide = u64::try_from(*self).unwrap_or(u64::MAX);
                out.extend_from_slice(&wide.to_le_bytes());
            }
            fn get(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Self::try_from(u64::from_le_bytes(*bytes)).ok()
            }
        }
    )*};
}
wired_numbers!(u16 u32 u64 usize);

impl Wire for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(u128::from_le_bytes(*bytes))
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        match u8::get(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).put(out);
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Duration::from_nanos(u64::get(from)?))
    }
}

impl Wire for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        let len = usize::get(from)?;
        let (bytes, rest) = from.split_at_checked(len)?;
        *from = rest;
        Some(bytes.to_vec())
    }
}

impl Wire for Box<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        String::from_utf8(Vec::get(from)?).ok().map(Into::into)
    }
}

/// Marks types whose lists are written value by value; bytes have a form of their own.
trait Item: Wire {}

impl<T: Item> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        let len = usize::get(from)?;
        // Each item takes a byte at least: a false length ends at the end of the bytes.
        (0..len).map(|_| T::get(from)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        match bool::get(from)? {
            true => Some(Some(T::get(from)?)),
            false => Some(None),
        }
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        Some((A::get(from)?, B::get(from)?))
    }
}

impl Wire for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        match u8::get(from)? {
            4 => {
                let (octets, rest) = from.split_first_chunk::<4>()?;
                *from = rest;
                Some(IpAddr::from(*octets))
            }
            6 => {
                let (octets, rest) = from.split_first_chunk::<16>()?;
                *from = rest;
                Some(IpAddr::from(*octets))
            }
            _ => None,
        }
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
        if let SocketAddr::V6(of) = self {
            of.flowinfo().put(out);
            of.scope_id().put(out);
        }
    }
    fn get(from: &mut &[u8]) -> Option<Self> {
        let (ip, port) = (IpAddr::get(from)?, u16::get(from)?);
        Some(match ip {
            IpAddr::V4(_) => SocketAddr::new(ip, port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, u32::get(from)?, u32::get(from)?).into(),
        })
    }
}

impl Item for (Box<str>, Box<str>) {}
impl Item for (HostPattern, Box<str>) {}
impl Item for Box<str> {}
impl Item for Listener {}
impl Item for Cluster {}
impl Item for Server {}
impl Item for Route {}
impl Item for Network {}
impl Item for Address {}
impl Item for (u16, u64) {}
