//! The telemetry device on a NUCLEO-H743ZI or -ZI2, whose Ethernet is wired on the board.
//!
//! The readings are the chip's own temperature, the LED is the green one, on PB0.
#![no_std]
#![no_main]

use core::cell::RefCell;
use core::panic::PanicInfo;
use core::sync::atomic::AtomicBool;

use embassy_executor::{Spawner, main, task};
use embassy_net::{Config, Stack, StackResources};
use embassy_stm32::adc::{Adc, SampleTime};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::{ADC3, ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{bind_interrupts, eth, rcc, rng, uid};
use static_cell::{ConstStaticCell, StaticCell};
use tidings_core::entropy::Entropy;
use tidings_telemetry::{Device, Memory, Readings, Settings, report, run, settings};

const SETTINGS: Settings = settings!();
const DEVICE: &str = "stm32h743";
const MEMBER: &str = r#"{"user_id":"stm32h743"}"#;

static READINGS: Readings = Readings::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static PACKETS: ConstStaticCell<PacketQueue<4, 4>> = ConstStaticCell::new(PacketQueue::new());
static STACK: StaticCell<StackResources<4>> = StaticCell::new();
static LED: AtomicBool = AtomicBool::new(false);

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

type Driver = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// 400 MHz from the internal oscillator, and 100 MHz for the converter.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    let pll = |divp| rcc::Pll {
        source: rcc::PllSource::HSI,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL50,
        fracn: None,
        divp: Some(divp),
        divq: None,
        divr: None,
    };
    config.rcc.pll1 = Some(pll(rcc::PllDiv::DIV2));
    config.rcc.pll2 = Some(pll(rcc::PllDiv::DIV8));
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale1;
    config.rcc.mux.adcsel = rcc::mux::Adcsel::PLL2_P;
    config
}

#[main]
async fn main(spawner: Spawner) {
    let p = embassy_stm32::init(clocks());
    let mut random = Rng::new(p.RNG, Interrupts);
    let seed = random.next_u64();

    // One of the kind of addresses that anyone may give, made of the chip's number.
    let id = uid::uid();
    let address = [0x02, id[0], id[2], id[4], id[8], id[9]];
    let ethernet = Ethernet::new(
        PACKETS.take(),
        p.ETH,
        Interrupts,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB13,
        p.PG11,
        address,
        p.ETH_SMA,
        p.PA2,
        p.PC1,
    );
    let memory = STACK.init(StackResources::new());
    let (stack, runner) =
        embassy_net::new(ethernet, Config::dhcpv4(Default::default()), memory, seed);

    spawner.spawn(network(runner).expect("spawned once"));
    spawner.spawn(readings(Adc::new(p.ADC3)).expect("spawned once"));
    let led = Output::new(p.PB0, Level::Low, Speed::Low);
    spawner.spawn(device(stack, led, random).expect("spawned once"));
}

#[task]
async fn network(mut runner: embassy_net::Runner<'static, Driver>) -> ! {
    runner.run().await
}

#[task]
async fn readings(mut adc: Adc<'static, ADC3>) -> ! {
    let mut sensor = adc.enable_temperature();
    // What the sensor showed at 30 and at 110 degrees when the chip was made (STM32H743 datasheet, 6.3.23).
    // SAFETY: the two places in system memory are there to be read.
    let [low, high] = [0x1FF1_E820, 0x1FF1_E840]
        .map(|at| f32::from(unsafe { core::ptr::read_volatile(at as *const u16) }));
    let celsius = async || {
        let value = adc.blocking_read(&mut sensor, SampleTime::CYCLES810_5);
        30.0 + (f32::from(value) - low) * 80.0 / (high - low)
    };
    report(DEVICE, &READINGS, &LED, celsius).await
}

#[task]
async fn device(stack: Stack<'static>, mut led: Output<'static>, random: Rng<'static, RNG>) {
    let random = RefCell::new(random);
    let mut app = Device::new(&LED, |on| led.set_level(Level::from(on)));
    run(stack, &SETTINGS, MEMBER, MEMORY.take(), &READINGS, Chance(&random), &mut app).await;
}

/// The chip's generator.
#[derive(Clone)]
struct Chance<'r>(&'r RefCell<Rng<'static, RNG>>);

impl Entropy for Chance<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.borrow_mut().fill_bytes(out);
    }
}
