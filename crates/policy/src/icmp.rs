//! ICMP message types by the names that policies use.

use ciliate_types::Protocol;

/// Types of ICMP for IPv4.
const V4: &[(&str, u8)] = &[
    ("EchoReply", 0),
    ("DestinationUnreachable", 3),
    ("Redirect", 5),
    ("Echo", 8),
    ("EchoRequest", 8),
    ("RouterAdvertisement", 9),
    ("RouterSelection", 10),
    ("TimeExceeded", 11),
    ("ParameterProblem", 12),
    ("Timestamp", 13),
    ("TimestampReply", 14),
    ("Photuris", 40),
    ("ExtendedEchoRequest", 42),
    ("ExtendedEchoReply", 43),
];

/// Types of ICMPv6.
const V6: &[(&str, u8)] = &[
    ("DestinationUnreachable", 1),
    ("PacketTooBig", 2),
    ("TimeExceeded", 3),
    ("ParameterProblem", 4),
    ("EchoRequest", 128),
    ("EchoReply", 129),
    ("MulticastListenerQuery", 130),
    ("MulticastListenerReport", 131),
    ("MulticastListenerDone", 132),
    ("RouterSolicitation", 133),
    ("RouterAdvertisement", 134),
    ("NeighborSolicitation", 135),
    ("NeighborAdvertisement", 136),
    ("RedirectMessage", 137),
    ("RouterRenumbering", 138),
    ("ICMPNodeInformationQuery", 139),
    ("ICMPNodeInformationResponse", 140),
    ("InverseNeighborDiscoverySolicitation", 141),
    ("InverseNeighborDiscoveryAdvertisement", 142),
    ("HomeAgentAddressDiscoveryRequest", 144),
    ("HomeAgentAddressDiscoveryReply", 145),
    ("MobilePrefixSolicitation", 146),
    ("MobilePrefixAdvertisement", 147),
    ("DuplicateAddressRequestCodeSuffix", 157),
    ("DuplicateAddressConfirmationCodeSuffix", 158),
    ("ExtendedEchoRequest", 160),
    ("ExtendedEchoReply", 161),
];

/// The type with this name or number in ICMP or ICMPv6. The CRD writes two names with a space; so may a user.
pub fn message_type(protocol: Protocol, text: &str) -> Option<u8> {
    let names = if protocol == Protocol::ICMPV6 { V6 } else { V4 };
    let name = text.replace(' ', "");
    let named = names.iter().find(|(n, _)| *n == name).map(|(_, number)| *number);
    let canonical = |number: &u8| number.to_string() == text;
    named.or_else(|| text.parse().ok().filter(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_family() {
        for (protocol, text, number) in [
            (Protocol::ICMP, "EchoReply", Some(0)),
            (Protocol::ICMPV6, "EchoReply", Some(129)),
            (Protocol::ICMP, "0", Some(0)),
            (Protocol::ICMPV6, "255", Some(255)),
            (Protocol::ICMP, "256", None),
            (Protocol::ICMP, "08", None),
            (Protocol::ICMP, "PacketTooBig", None),
            (Protocol::ICMP, "ExtendedEcho Reply", Some(43)),
        ] {
            assert_eq!(message_type(protocol, text), number, "{protocol} {text}");
        }
    }
}
