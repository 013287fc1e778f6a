//! The binary: see [`postrider::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    postrider::cli::main(std::env::args_os(), postrider::serve::main)
}
