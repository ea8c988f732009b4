//! How much memory things take on this machine.

use core::cell::UnsafeCell;
use core::mem::size_of;

use embassy_net::tcp::{TcpReader, TcpWriter};
use embassy_net::{Stack, StackResources};
use semihosting::println;
use tidings_embassy::{Buffers, LocalSigner, Session};
use tidings_telemetry::Readings;
use tidings_trial::{Chance, Memory, Options, READINGS, Watched, connection};

use crate::Mps2;
use crate::ethernet::Ethernet;

/// The size of what an asynchronous function makes of its arguments. It is not called.
fn of<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

type SessionArguments<R, W> = (
    &'static mut Session<'static, Chance<Mps2>, 4>,
    &'static mut R,
    &'static mut W,
    &'static mut Buffers<2048, 512>,
    &'static mut LocalSigner,
    &'static mut Watched<Mps2>,
);

/// Prints a line for each.
pub fn print() {
    let supervisor =
        of(|(stack, options, memory): (Stack<'static>, &'static Options, &'static mut Memory)| {
            connection(Mps2, stack, options, memory)
        });
    println!("size future-supervisor {supervisor}");
    let session = of(
        |(session, reader, writer, buffers, signer, app): SessionArguments<
            TcpReader<'static>,
            TcpWriter<'static>,
        >| session.run(reader, writer, buffers, &READINGS, signer, app),
    );
    println!("size future-session {session}");
    #[cfg(feature = "tls")]
    tls();
    println!("size memory {}", size_of::<Memory>());
    println!("size outbox {}", size_of::<Readings>());
    println!("size options {}", size_of::<Options>());
    println!("size ethernet {}", size_of::<Ethernet>());
    println!("size network {}", size_of::<StackResources<4>>());
}

#[cfg(feature = "tls")]
fn tls() {
    use tidings_embassy::tls::{RecordBuffers, SecuredReader, SecuredWriter, Tls, Wire};

    type Tcp = Wire<TcpReader<'static>, TcpWriter<'static>>;
    type Records = RecordBuffers<16_640, 1024>;
    let handshake = of(
        |(tls, wire, records): (
            &'static mut Tls<'static, Chance<Mps2>>,
            &'static Tcp,
            &'static mut Records,
        )| tls.secure(wire, "", records),
    );
    println!("size future-handshake {handshake}");
    let session = of(
        |(session, reader, writer, buffers, signer, app): SessionArguments<
            SecuredReader<'static, 'static, TcpReader<'static>, TcpWriter<'static>>,
            SecuredWriter<'static, 'static, TcpReader<'static>, TcpWriter<'static>>,
        >| session.run(reader, writer, buffers, &READINGS, signer, app),
    );
    println!("size future-session-over-tls {session}");
    println!("size records {}", size_of::<Records>());
}

unsafe extern "C" {
    static _stack_end: UnsafeCell<u32>;
    static _stack_start: UnsafeCell<u32>;
}

/// How much of the stack was ever in use, in bytes.
pub fn stack_used() -> usize {
    let (mut at, start) =
        ((&raw const _stack_end).cast::<u32>(), (&raw const _stack_start).cast::<u32>());
    // SAFETY: the stack's memory is painted at the start, and read only.
    while at < start && unsafe { at.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    start.addr().wrapping_sub(at.addr())
}
