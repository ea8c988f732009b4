//! The telemetry device on an ESP32-C3, such as an ESP32-C3-DevKitM-1, over Wi-Fi.
//!
//! The readings are the chip's own temperature, the LED is one at GPIO3 (that of the DevKit is no plain one).
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::sync::atomic::AtomicBool;

use embassy_executor::{Spawner, task};
use embassy_net::{Config, Stack, StackResources};
use embassy_time::Timer;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::tsens::{self, TemperatureSensor};
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    self, AuthenticationMethodConfig, ControllerConfig, Interface, WifiController,
};
use static_cell::{ConstStaticCell, StaticCell};
use tidings_core::entropy::Entropy;
use tidings_telemetry::{Device, Memory, Readings, Settings, report, run, settings};

const SETTINGS: Settings = settings!();
const SSID: &str = env!("WIFI_SSID", "set WIFI_SSID to the network's name");
const PASSWORD: &str = env!("WIFI_PASSWORD", "set WIFI_PASSWORD to the network's password");
const DEVICE: &str = "esp32c3";
const MEMBER: &str = r#"{"user_id":"esp32c3"}"#;

static READINGS: Readings = Readings::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static STACK: StaticCell<StackResources<4>> = StaticCell::new();
static LED: AtomicBool = AtomicBool::new(false);

esp_bootloader_esp_idf::esp_app_desc!();

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    esp_hal::system::software_reset()
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    let p = esp_hal::init(esp_hal::Config::default());
    // What the radio's library gets: 64 KB that the boot loader has used, and more.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(p.TIMG0);
    esp_rtos::start(timers.timer0, p.FROM_CPU_INTR0);

    let radio = WifiController::new(p.WIFI, ControllerConfig::default()).expect("a radio");
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let memory = STACK.init(StackResources::new());
    let station = Interface::station();
    let (stack, runner) =
        embassy_net::new(station, Config::dhcpv4(Default::default()), memory, seed);

    let sensor =
        TemperatureSensor::new(p.TSENS, tsens::Config::default()).expect("a valid setting");
    let led = Output::new(p.GPIO3, Level::Low, OutputConfig::default());
    spawner.spawn(join(radio).expect("spawned once"));
    spawner.spawn(network(runner).expect("spawned once"));
    spawner.spawn(readings(sensor).expect("spawned once"));
    spawner.spawn(device(stack, led).expect("spawned once"));
}

/// Keeps the device in the network.
#[task]
async fn join(mut radio: WifiController<'static>) -> ! {
    let ssid = SSID.try_into().expect("WIFI_SSID has at most 32 bytes");
    let password = PASSWORD.try_into().expect("WIFI_PASSWORD has at most 64 bytes");
    let method = AuthenticationMethodConfig::Wpa2Personal(password);
    let station = StationConfig::default().with_ssid(ssid).with_authentication(method);
    radio.set_config(&wifi::Config::Station(station)).expect("a valid setting");
    loop {
        if radio.connect_async().await.is_ok() {
            let _ = radio.wait_for_disconnect_async().await;
        }
        Timer::after_secs(5).await;
    }
}

#[task]
async fn network(mut runner: embassy_net::Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[task]
async fn readings(sensor: TemperatureSensor<'static>) -> ! {
    report(DEVICE, &READINGS, &LED, async || sensor.get_temperature().to_celsius()).await
}

#[task]
async fn device(stack: Stack<'static>, mut led: Output<'static>) {
    let mut app = Device::new(&LED, |on| led.set_level(if on { Level::High } else { Level::Low }));
    run(stack, &SETTINGS, MEMBER, MEMORY.take(), &READINGS, Chance, &mut app).await;
}

/// The chip's generator, which the radio feeds with noise.
#[derive(Clone)]
struct Chance;

impl Entropy for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        Rng::new().read(out);
    }
}
