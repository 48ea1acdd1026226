//! Sockets of the proxy that the kernel hands connections to.

/// One socket, or one group of sockets that share their port, for each kind of traffic.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    TcpV4 = 0,
    TcpV6 = 1,
    UdpV4 = 2,
    UdpV6 = 3,
}

impl Listener {
    pub const COUNT: u32 = 4;
    pub const ALL: [Self; 4] = [Self::TcpV4, Self::TcpV6, Self::UdpV4, Self::UdpV6];
}
