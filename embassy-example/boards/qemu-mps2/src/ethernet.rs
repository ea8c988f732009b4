//! The board's Ethernet: an SMSC LAN9118, whose FIFOs hold the frames.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

const BASE: usize = 0x4020_0000;
const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const IRQ_CFG: usize = 0x54;
const INT_STS: usize = 0x58;
const INT_EN: usize = 0x5C;
const BYTE_TEST: usize = 0x64;
const FIFO_INT: usize = 0x68;
const RX_CFG: usize = 0x6C;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7C;
const TX_FIFO_INF: usize = 0x80;
const MAC_CMD: usize = 0xA4;
const MAC_DATA: usize = 0xA8;
const AFC_CFG: usize = 0xAC;

/// A frame has come, or the cable was put in or out.
const CAUSES: u32 = 1 << 3 | 1 << 18;
/// The longest frame, without its checksum.
const MAX_FRAME: usize = 1514;

static WAKER: AtomicWaker = AtomicWaker::new();

fn write(register: usize, value: u32) {
    // SAFETY: these are the registers of the board's Ethernet chip, which nothing else uses.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

fn read(register: usize) -> u32 {
    // SAFETY: as above.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn mac_read(register: u32) -> u32 {
    write(MAC_CMD, 1 << 31 | 1 << 30 | register);
    while read(MAC_CMD) >> 31 != 0 {}
    read(MAC_DATA)
}

fn mac_write(register: u32, value: u32) {
    write(MAC_DATA, value);
    write(MAC_CMD, 1 << 31 | register);
    while read(MAC_CMD) >> 31 != 0 {}
}

fn phy_read(register: u32) -> u32 {
    mac_write(6, 1 << 11 | register << 6 | 1);
    while mac_read(6) & 1 != 0 {}
    mac_read(7)
}

fn phy_write(register: u32, value: u32) {
    mac_write(7, value);
    mac_write(6, 1 << 11 | register << 6 | 3);
    while mac_read(6) & 1 != 0 {}
}

/// The chip (interrupt 13) has something to say.
pub fn interrupt() {
    write(INT_EN, 0);
    WAKER.wake();
}

/// The chip, with memory for a frame in each direction.
pub struct Ethernet {
    address: [u8; 6],
    rx: [u8; MAX_FRAME + 6],
    tx: [u8; MAX_FRAME + 6],
}

impl Ethernet {
    /// A chip that was not started.
    pub const fn new() -> Self {
        Self { address: [0; 6], rx: [0; MAX_FRAME + 6], tx: [0; MAX_FRAME + 6] }
    }

    /// Starts the chip. The interrupt 13 is to be enabled afterwards: before, its line idles high.
    pub fn start(&mut self) {
        while read(BYTE_TEST) != 0x8765_4321 {}
        write(HW_CFG, 1);
        while read(HW_CFG) & 1 != 0 {}
        write(HW_CFG, 1 << 20 | 5 << 16);
        write(AFC_CFG, 0x006E_3740);
        write(INT_EN, 0);
        write(INT_STS, u32::MAX);
        write(FIFO_INT, 0x4800_0000);
        write(RX_CFG, 0);
        write(TX_CFG, 1 << 1);
        let (high, low) = (mac_read(2), mac_read(3));
        let [a, b, c, d] = low.to_le_bytes();
        let [e, f, ..] = high.to_le_bytes();
        self.address = [a, b, c, d, e, f];
        phy_write(4, 0x01E1);
        phy_write(0, 0x1200);
        phy_write(30, 0x50);
        mac_write(1, 1 << 20 | 1 << 3 | 1 << 2);
        write(IRQ_CFG, 1 << 8 | 1 << 4 | 1);
    }

    fn frame_waits() -> bool {
        read(RX_FIFO_INF) >> 16 & 0xFF != 0
    }

    /// Whether something waits; if not, the next interrupt wakes.
    fn arm(cx: &mut Context<'_>, ready: impl Fn() -> bool) -> bool {
        if ready() {
            return true;
        }
        WAKER.register(cx.waker());
        write(INT_STS, CAUSES);
        // The bit is set by an arrival alone, so what came meanwhile is to be looked for.
        let ready = ready();
        write(INT_EN, CAUSES);
        ready
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Sender<'_>)> {
        if !Self::arm(cx, Self::frame_waits) {
            return None;
        }
        Some((Received { memory: &mut self.rx }, Sender { memory: &mut self.tx }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sender<'_>> {
        Some(Sender { memory: &mut self.tx })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        let _ = phy_read(29); // acknowledges
        let up = phy_read(1) >> 2 & 1 != 0;
        Self::arm(cx, || false);
        if up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that waits in the chip.
pub struct Received<'a> {
    memory: &'a mut [u8; MAX_FRAME + 6],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let len = (read(RX_STATUS) >> 16 & 0x3FFF) as usize;
        let mut words = self.memory.chunks_exact_mut(4);
        for _ in 0..len.div_ceil(4) {
            let word = read(RX_DATA); // every word has to leave the FIFO
            if let Some(place) = words.next() {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        let len = len.saturating_sub(4).min(MAX_FRAME);
        f(&mut self.memory[..len])
    }
}

/// The right to send a frame.
pub struct Sender<'a> {
    memory: &'a mut [u8; MAX_FRAME + 6],
}

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let len = len.min(MAX_FRAME);
        let result = f(&mut self.memory[..len]);
        while read(TX_FIFO_INF) >> 16 & 0xFF != 0 {
            read(TX_STATUS);
        }
        write(TX_DATA, 1 << 13 | 1 << 12 | len as u32);
        write(TX_DATA, (len as u32) << 16 | len as u32);
        for word in self.memory[..len.next_multiple_of(4)].chunks_exact(4) {
            write(TX_DATA, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
        result
    }
}
