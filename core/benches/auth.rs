//! Signing and verifying: `cargo bench -p tidings-core --bench auth`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use tidings_core::auth::{SignedRequest, SigningKey, sign_channel, verify_channel, verify_webhook};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    subscriptions(&mut criterion);
    requests(&mut criterion);
    webhooks(&mut criterion);
    criterion.final_summary();
}

fn key() -> SigningKey {
    SigningKey::new(b"7ad3773142a6692b25b8")
}

fn subscriptions(criterion: &mut Criterion) {
    let (key, data) = (key(), Some(r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#));
    let auth = format!("key:{}", sign_channel(&key, "1234.1234", "presence-foobar", data));
    criterion.bench_function("verify a presence subscription", |bencher| {
        bencher.iter(|| {
            let auth = black_box(auth.as_str());
            verify_channel(&key, "key", "1234.1234", "presence-foobar", data, auth)
        });
    });
    criterion.bench_function("take a secret", |bencher| {
        bencher.iter(|| SigningKey::new(black_box(b"7ad3773142a6692b25b8")));
    });
}

fn requests(criterion: &mut Criterion) {
    let key = key();
    let mut group = criterion.benchmark_group("verify a publish with a body of");
    for length in [128, 1024, 10_240] {
        let body = "x".repeat(length);
        // The digest is wrong, which is found only after it has been made; the signature comes after it.
        let query = "auth_key=key&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f&auth_signature=00";
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("digest", length), |bencher| {
            bencher.iter(|| {
                let body = black_box(body.as_bytes());
                let request = SignedRequest { method: "POST", path: "/apps/3/events", query, body };
                request.verify(&key, "key", "", 1_353_088_179, 600)
            });
        });
    }
    group.finish();
    let query = "auth_key=key&auth_timestamp=1353088179&auth_version=1.0";
    let request = SignedRequest { method: "GET", path: "/apps/3/channels", query, body: b"" };
    let signature = request.sign(&key).expect("few parameters");
    let query = format!("{query}&auth_signature={signature}");
    criterion.bench_function("verify a query", |bencher| {
        bencher.iter(|| {
            let query = black_box(query.as_str());
            let request =
                SignedRequest { method: "GET", path: "/apps/3/channels", query, body: b"" };
            request.verify(&key, "key", "", 1_353_088_179, 600)
        });
    });
}

fn webhooks(criterion: &mut Criterion) {
    let (key, body) = (key(), "x".repeat(1024));
    criterion.bench_function("verify a webhook of 1024 bytes", |bencher| {
        bencher.iter(|| verify_webhook(&key, black_box(body.as_bytes()), "00"));
    });
}
