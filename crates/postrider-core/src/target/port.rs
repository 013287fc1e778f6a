//! Ports that no webhook receiver listens on.

/// Whether an HTTP request to `port` would reach something that speaks another protocol, and could
/// be made to obey parts of the request.
pub(super) fn is_of_another_protocol(port: u16) -> bool {
    PORTS_BAD.contains(&port) || PORTS_OF_INFRASTRUCTURE.contains(&port)
}

/// The bad ports of the WHATWG Fetch standard (§2.9 "port blocking"): mail, files,
/// terminals and the like.
#[rustfmt::skip]
const PORTS_BAD: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
    101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
    389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587,
    601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Databases, caches, brokers and control planes, none of which receives webhooks.
#[rustfmt::skip]
const PORTS_OF_INFRASTRUCTURE: &[u16] = &[
    445, 873,                // SMB, rsync
    1433, 1521, 3306, 5432,  // SQL Server, Oracle, MySQL, PostgreSQL
    2181, 2379, 2380,        // ZooKeeper, etcd
    2375, 2376,              // Docker
    3389, 5900, 5985, 5986,  // RDP, VNC, WinRM
    5672, 9092,              // AMQP, Kafka
    5984, 9042, 9200, 9300,  // CouchDB, Cassandra, Elasticsearch
    6379, 11211, 26379,      // Redis, memcached, Redis Sentinel
    10250, 10255,            // kubelet
    27017, 27018, 27019,     // MongoDB
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_serve_http_are_free() {
        for port in [80, 443, 3000, 4000, 5000, 6001, 8000, 8080, 8443, 8888, 9000, 65535] {
            assert!(!is_of_another_protocol(port), "{port}");
        }
        for port in [22, 25, 5432, 6000, 6379, 11211] {
            assert!(is_of_another_protocol(port), "{port}");
        }
    }
}
