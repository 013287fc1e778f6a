//! Postrider: server and command line.
