//! What the proofs share beside `postrider-faults`, which has the client, the receiver and the binary
//! as a process: a server in this process, and the binary of this package.

pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod server;
