//! Why a packet was dropped. Numbers follow Cilium's drop reasons where the meaning is the same, so that its users'
//! dashboards keep working; 230 and up are our own.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $class:ident;)+) => {
        /// Why a packet was dropped.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DropReason { $($(#[$doc])* $name = $number,)+ }

        impl DropReason {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }

            /// As shown to users.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            #[must_use]
            pub const fn class(self) -> ReasonClass {
                match self { $(Self::$name => ReasonClass::$class,)+ }
            }
        }
    };
}

/// What kind of fault a drop points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// Somebody's rules.
    Policy,
    /// A packet that is wrong in itself or not from whom it says.
    Packet,
    /// A missing table row or a full table.
    Node,
}

reasons! {
    InvalidSourceMac = 130, "Invalid source mac", Packet;
    InvalidSourceIp = 132, "Invalid source ip", Packet;
    Policy = 133, "Policy denied", Policy;
    InvalidPacket = 134, "Invalid packet dropped", Packet;
    TruncatedHeader = 135, "CT: Truncated or invalid header", Packet;
    UnsupportedL3 = 139, "Unsupported L3 protocol", Packet;
    WriteError = 141, "Error writing to packet", Node;
    NoEndpoint = 152, "No matching local container found", Node;
    ConnectionInsert = 155, "CT: Map insertion failed", Node;
    ExtensionHeader = 156, "Invalid IPv6 extension header", Packet;
    NoProxy = 161, "Failed to insert into proxymap", Node;
    NoConfig = 165, "No configuration available to perform policy decision", Node;
    FibLookup = 169, "FIB lookup failed", Node;
    FragmentNotFound = 175, "First logical datagram fragment not found", Packet;
    UnknownIcmp6 = 176, "Forbidden ICMPv6 message", Packet;
    PolicyDeny = 181, "Policy denied by denylist", Policy;
    NoRuleSet = 203, "Endpoint policy program not available", Node;
    Multicast = 230, "Multicast not supported", Packet;
}
