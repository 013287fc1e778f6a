//! Verifications a second and core, beside the package of Standard Webhooks in the same run.
//!
//! `cargo run --release -p postrider-receiver --example verify_speed`

#![expect(clippy::unwrap_used, reason = "a measurement that can't be made has no figures")]
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use postrider_receiver::{Profile, Tolerance, Verifier};
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(300);

fn main() {
    for bytes in [256, 1_024, 16_384] {
        let body = vec![b'x'; bytes];
        let theirs = Webhook::new(SECRET).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seconds = i64::try_from(now.as_secs()).unwrap();
        let signature = theirs.sign("evt_1", seconds, &body).unwrap();
        let timestamp = seconds.to_string();

        let verifier = Verifier::new(Profile::standard())
            .with_secret(SECRET)
            .unwrap()
            .with_tolerance(Tolerance::seconds(3_600));
        let header = |name: &str| match name {
            "webhook-id" => Some("evt_1"),
            "webhook-timestamp" => Some(&*timestamp),
            "webhook-signature" => Some(&*signature),
            _ => None,
        };
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, header(name).unwrap().parse().unwrap());
        }
        let mut ratios = Vec::new();
        let (mut ours_best, mut theirs_best) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            let ours = rate(|| verifier.verify(header, black_box(&body)).is_ok());
            let other = rate(|| theirs.verify(black_box(&body), &headers).is_ok());
            ratios.push(ours / other);
            (ours_best, theirs_best) = (ours_best.max(ours), theirs_best.max(other));
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{bytes:>6} bytes: {ours_best:>9.0}/s, standardwebhooks {theirs_best:>9.0}/s; ratio {:.2} (median of {ROUNDS})",
            ratios[ROUNDS / 2]
        );
    }
}

fn rate(mut is_good: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < ROUND {
        for _ in 0..100 {
            assert!(is_good());
        }
        count += 100;
    }
    count as f64 / start.elapsed().as_secs_f64()
}
