//! Ports for programs that cannot tell each other theirs.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Ports that were free a moment ago; they are below those that the kernel
/// gives to whoever connects, so that no client takes one before its service does.
pub(crate) fn free_ports<const N: usize>() -> [SocketAddr; N] {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Where other processes of the tests do not begin.
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap().wrapping_mul(97);
    let next = || own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    [(); N].map(|()| {
        let tried = std::iter::repeat_with(next).take(1_000);
        let mut ports = tried.map(|n| SocketAddr::from(([127, 0, 0, 1], FIRST + n)));
        ports.find(|port| TcpListener::bind(port).is_ok()).unwrap()
    })
}
