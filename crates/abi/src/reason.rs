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
    FibLookup = 144, "Unreachable destination", Node;
    NoEndpoint = 151, "Invalid endpoint", Node;
    ConnectionInsert = 155, "CT: Map insertion failed", Node;
    ExtensionHeader = 156, "Invalid IPv6 extension header", Packet;
    FragmentNotFound = 157, "IP fragment without a first fragment", Packet;
    UnknownIcmp6 = 173, "Unsupported neighbour discovery message", Packet;
    PolicyDeny = 181, "Policy denied by denylist", Policy;
    Multicast = 230, "Multicast not supported", Packet;
    NoRuleSet = 231, "Endpoint has no rule set yet", Node;
    NoConfig = 232, "Node not configured", Node;
    NoProxy = 233, "No way to the proxy", Node;
}
