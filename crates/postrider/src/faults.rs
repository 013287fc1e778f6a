//! What tests of faults put in the place of the machine's clock and name servers.
//!
//! Only under the feature `failpoints`, which nothing but `postrider-faults` enables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::clock::Clock;
use crate::send::SystemResolver;

/// Names a file with the number of milliseconds that the clock is off by, which may change.
pub const CLOCK_VARIABLE: &str = "FAULTS_CLOCK";
/// The address of the one name server that is asked.
pub const NAMES_VARIABLE: &str = "FAULTS_NAMES";

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A clock that jumps whenever the file says something else. Nobody is told of it, as nobody is
/// when an administrator or NTP sets a machine's clock.
pub fn clock() -> Clock {
    let clock = Clock::system();
    if let Some(file) = std::env::var_os(CLOCK_VARIABLE).map(PathBuf::from) {
        let set = clock.clone();
        std::thread::spawn(move || {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if let Ok(offset_ms) = text.trim().parse() {
                    set.set_offset_unnoticed(offset_ms);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
    }
    clock
}

/// The resolver that the environment names, if it names one.
pub fn resolver() -> anyhow::Result<Option<SystemResolver>> {
    let Some(address) = std::env::var_os(NAMES_VARIABLE) else { return Ok(None) };
    let address = address.into_string().ok().and_then(|text| text.parse::<SocketAddr>().ok());
    let address = address.with_context(|| format!("{NAMES_VARIABLE} is no address"))?;
    Ok(Some(SystemResolver::with_name_servers(&[address])?))
}
