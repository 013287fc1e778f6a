//! The server's binary as it is, built with failpoints.

use std::process::ExitCode;

fn main() -> ExitCode {
    postrider::cli::main(std::env::args_os(), postrider::serve::main)
}
