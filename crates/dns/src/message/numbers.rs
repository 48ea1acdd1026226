//! Numbers of the registry and the bits of a header.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $type:ident($inner:ty), $unknown:literal: $($name:ident = $value:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub $inner);

        impl $type {
            $(pub const $name: Self = Self($value);)*

            /// Its name in IANA's registry, of those that are known here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!($unknown, "{}"), self.0),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

number! {
    /// The type of a record or question; unknown ones are written as in RFC 3597, 5.
    RecordType(u16), "TYPE":
    A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, NAPTR = 35, DNAME = 39, OPT = 41,
    DS = 43, RRSIG = 46, NSEC = 47, DNSKEY = 48, TLSA = 52, SVCB = 64, HTTPS = 65, TSIG = 250, IXFR = 251, AXFR = 252, ANY = 255,
    CAA = 257,
}

number! {
    /// The class of a record or question; addresses are only taken from the internet's.
    Class(u16), "CLASS": IN = 1, CH = 3, HS = 4, ANY = 255,
}

number! {
    /// How an answer ended, without the bits that EDNS adds.
    ResponseCode(u8), "RCODE":
    NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5, YXDOMAIN = 6, YXRRSET = 7, NXRRSET = 8,
    NOTAUTH = 9, NOTZONE = 10,
}

/// The second 16 bits of a header (RFC 1035, 4.1.1; RFC 4035, 3.1.6 and 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    pub const ANSWER: u16 = 0x8000;
    pub const OPERATION: u16 = 0x7800;
    pub const AUTHORITATIVE: u16 = 0x0400;
    pub const TRUNCATED: u16 = 0x0200;
    pub const RECURSION_DESIRED: u16 = 0x0100;
    pub const RECURSION_AVAILABLE: u16 = 0x0080;
    pub const AUTHENTIC: u16 = 0x0020;
    pub const CHECKING_DISABLED: u16 = 0x0010;
    pub const CODE: u16 = 0x000f;

    /// Whether any of these bits is set.
    #[must_use]
    pub const fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    #[must_use]
    pub fn code(self) -> ResponseCode {
        ResponseCode(u8::try_from(self.0 & Self::CODE).unwrap_or_default())
    }
}
