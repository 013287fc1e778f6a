//! Compresses the viewer of the page `/docs`: megabytes that few ask for, and those who do take them
//! compressed.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The viewer in the package that it comes from.
const VIEWER: &str = "scalar.js";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let plain = scalar_api_reference::get_asset(VIEWER).ok_or("the package has no viewer")?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain)?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo says where to write")?;
    std::fs::write(Path::new(&folder).join("reference.js.gz"), encoder.finish()?)?;
    Ok(())
}
