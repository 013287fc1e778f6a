//! A name server on loopback that answers as it is told, over UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// How questions for an address are answered.
#[derive(Clone, Debug)]
pub enum Names {
    /// With this address, to be forgotten at once.
    Address(Ipv4Addr),
    /// With these by turns, one in each answer.
    Flipping([Ipv4Addr; 2]),
    /// SERVFAIL.
    Failing,
    /// There is no such name.
    Unknown,
    /// Not at all.
    Stalling,
    /// With what is no answer.
    Garbage,
}

/// See the module's text. Ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    pub address: SocketAddr,
    names: Arc<Mutex<(Names, usize)>>,
    serving: AbortHandle,
}

impl NameServer {
    pub async fn start(names: Names) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names = Arc::new(Mutex::new((names, 0)));
        let serving = tokio::spawn({
            let names = names.clone();
            async move {
                let mut query = [0; 512];
                loop {
                    let (length, from) = socket.recv_from(&mut query).await.unwrap();
                    let answer = answer(&query[..length], &mut names.lock().unwrap());
                    if let Some(answer) = answer {
                        // whoever asked may be gone
                        let _ = socket.send_to(&answer, from).await;
                    }
                }
            }
        });
        Self { address, names, serving: serving.abort_handle() }
    }

    /// From now on, answers like this.
    pub fn behave(&self, names: Names) {
        *self.names.lock().unwrap() = (names, 0);
    }

    /// How many questions for an address it has been asked since it was told how to behave.
    pub fn asked(&self) -> usize {
        self.names.lock().unwrap().1
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The wire form of RFC 1035 §4, as far as one question and one record need it.
fn answer(query: &[u8], names: &mut (Names, usize)) -> Option<Vec<u8>> {
    const A: u16 = 1;
    const SERVFAIL: u8 = 2;
    const NXDOMAIN: u8 = 3;
    let labels_end = 12 + query.get(12..)?.iter().position(|&byte| byte == 0)?;
    let kind = u16::from_be_bytes([*query.get(labels_end + 1)?, *query.get(labels_end + 2)?]);
    let is_address = kind == A;
    let turn = names.1;
    names.1 += usize::from(is_address);
    let (code, address) = match names.0 {
        Names::Address(address) => (0, Some(address)),
        Names::Flipping(addresses) => (0, Some(addresses[turn % 2])),
        Names::Failing => (SERVFAIL, None),
        Names::Unknown => (NXDOMAIN, None),
        Names::Stalling => return None,
        Names::Garbage => return Some(vec![0xff; 40]),
    };
    let address = address.filter(|_| is_address);
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend(&query[12..labels_end + 5]);
    if let Some(address) = address {
        // a pointer to the question's name, type A, class IN, a TTL of zero, four bytes
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
