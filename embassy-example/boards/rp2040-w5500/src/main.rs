//! The telemetry device on a Raspberry Pi Pico with a W5500, as on a W5500-EVB-Pico.
//!
//! | W5500 | Pico |
//! |---|---|
//! | MISO, CS, SCK, MOSI | GP16, GP17, GP18, GP19 |
//! | RST, INT | GP20, GP21 |
//!
//! The readings are the chip's own temperature, the LED is the board's, on GP25.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::sync::atomic::AtomicBool;

use embassy_executor::{Spawner, main, task};
use embassy_net::{Config, Stack, StackResources};
use embassy_net_wiznet::chip::W5500;
use embassy_rp::adc::{self, Adc, Channel};
use embassy_rp::clocks::RoscRng;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, SPI0};
use embassy_rp::spi::{self, Spi};
use embassy_rp::{bind_interrupts, dma};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::{ConstStaticCell, StaticCell};
use tidings_core::entropy::Entropy;
use tidings_telemetry::{Device, Memory, Readings, Settings, report, run, settings};

const SETTINGS: Settings = settings!();
const DEVICE: &str = "rp2040-w5500";
const MEMBER: &str = r#"{"user_id":"rp2040-w5500"}"#;
const FLASH_SIZE: usize = 2 << 20;

static READINGS: Readings = Readings::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static DRIVER: ConstStaticCell<embassy_net_wiznet::State<4, 4>> =
    ConstStaticCell::new(embassy_net_wiznet::State::new());
static STACK: StaticCell<StackResources<4>> = StaticCell::new();
static LED: AtomicBool = AtomicBool::new(false);

bind_interrupts!(struct Interrupts {
    ADC_IRQ_FIFO => adc::InterruptHandler;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

type Bus = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;
type Driver = embassy_net_wiznet::Runner<'static, W5500, Bus, Input<'static>, Output<'static>>;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

#[main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());

    let mut clock = spi::Config::default();
    clock.frequency = 50_000_000;
    let spi =
        Spi::new(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Interrupts, clock);
    let Ok(bus) = ExclusiveDevice::new(spi, Output::new(p.PIN_17, Level::High), Delay);
    let interrupt = Input::new(p.PIN_21, Pull::Up);
    let reset = Output::new(p.PIN_20, Level::High);
    let mut flash = Flash::<_, Blocking, FLASH_SIZE>::new_blocking(p.FLASH);
    let address = mac_address(&mut flash);
    let driver = embassy_net_wiznet::new(address, DRIVER.take(), bus, interrupt, reset).await;
    let (ethernet, driver) = driver.expect("a W5500 at the SPI");

    let memory = STACK.init(StackResources::new());
    let seed = RoscRng.next_u64();
    let (stack, runner) =
        embassy_net::new(ethernet, Config::dhcpv4(Default::default()), memory, seed);

    let adc = Adc::new(p.ADC, Interrupts, adc::Config::default());
    let sensor = Channel::new_temp_sensor(p.ADC_TEMP_SENSOR);
    let led = Output::new(p.PIN_25, Level::Low);
    spawner.spawn(drive(driver).expect("spawned once"));
    spawner.spawn(network(runner).expect("spawned once"));
    spawner.spawn(readings(adc, sensor).expect("spawned once"));
    spawner.spawn(device(stack, led).expect("spawned once"));
}

/// The W5500 has no address of its own: one of the kind that anyone may give, made of the flash chip's number.
fn mac_address(
    flash: &mut Flash<'_, embassy_rp::peripherals::FLASH, Blocking, FLASH_SIZE>,
) -> [u8; 6] {
    let mut id = [0; 8];
    let _ = flash.blocking_unique_id(&mut id); // zeros will do for a single device
    [0x02, id[3], id[4], id[5], id[6], id[7]]
}

#[task]
async fn drive(driver: Driver) -> ! {
    driver.run().await
}

#[task]
async fn network(
    mut runner: embassy_net::Runner<'static, embassy_net_wiznet::Device<'static>>,
) -> ! {
    runner.run().await
}

#[task]
async fn readings(mut adc: Adc<'static, adc::Async>, mut sensor: Channel<'static>) -> ! {
    let celsius = async || {
        let value = adc.read(&mut sensor).await.unwrap_or_default();
        // 3.3 V at 4095; 0.706 V at 27 degrees and 1.721 mV less for each more (RP2040 datasheet, 4.9.5).
        27.0 - (f32::from(value) * 3.3 / 4096.0 - 0.706) / 0.001_721
    };
    report(DEVICE, &READINGS, &LED, celsius).await
}

#[task]
async fn device(stack: Stack<'static>, mut led: Output<'static>) {
    let mut app = Device::new(&LED, |on| led.set_level(Level::from(on)));
    run(stack, &SETTINGS, MEMBER, MEMORY.take(), &READINGS, Chance, &mut app).await;
}

/// The ring oscillator's noise: good enough for masking keys and ports, not for cryptographic keys.
#[derive(Clone)]
struct Chance;

impl Entropy for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        RoscRng.fill_bytes(out);
    }
}
