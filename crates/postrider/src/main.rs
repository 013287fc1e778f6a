//! The binary: see [`postrider::cli`].

use std::process::ExitCode;

/// A seventh less CPU per delivery than glibc's, which gives memory back and takes it again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postrider::cli::main(std::env::args_os(), postrider::serve::main)
}
