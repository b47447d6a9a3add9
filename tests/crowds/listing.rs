//! A list of 100,000 held names needs no more memory than one of 1,000.

use std::time::{Duration, Instant};

use support::{Cluster, Daemon, eventually};

const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// What the memory may differ by, in KiB: nothing of what is listed is kept.
const ALLOWANCE: u64 = 4 * 1024;
const LIMIT: Duration = Duration::from_secs(120);

/// Copies of a record that the library wrote, under other names.
async fn fill(cluster: &Cluster, names: std::ops::Range<usize>, record: &bytes::Bytes) {
    let client = async_nats::connect(cluster.url()).await.expect("connected");
    let expected = names.end as u64;
    for name in names {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-TTL", "3600s");
        let subject = format!("$KV.leases.lock.many.{name}");
        client.publish_with_headers(subject, headers, record.clone()).await.expect("sent");
    }
    client.flush().await.expect("sent");
    eventually("all are stored", LIMIT, async || {
        let info = cluster
            .request(0, "$JS.API.STREAM.INFO.KV_leases", r#"{"subjects_filter":"$KV.leases.lock.many.>"}"#)
            .await;
        (info["state"]["num_subjects"].as_u64()? >= expected).then_some(())
    })
    .await;
}

/// The most memory that a process has had since it was asked last, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak = line.trim().trim_end_matches(" kB").parse().expect("a number");
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("forgotten");
    peak
}

/// How many the daemon lists, and how long that takes.
async fn list(daemon: &Daemon) -> (usize, Duration) {
    let begun = Instant::now();
    let mut locks = daemon.api().open("GET", "/v1/locks?filter=many.%3E", "").await;
    let mut bytes = 0;
    let mut names = 0;
    // One object in pieces, of which none begins or ends within a name.
    while let Some(line) = locks.try_line().await.expect("the list goes on") {
        bytes += line.len();
        names += line.matches(r#""held":true"#).count();
    }
    assert!(bytes > 0);
    (names, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_000_names_needs_as_little_memory_as_one_of_1_000() {
    let _alone = super::alone().await;
    let cluster = Cluster::single().await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let lease = daemon.api().post("/v1/locks/model/acquire", r#"{"ttl":"1h"}"#).await;
    assert_eq!(lease.status, 200);
    let client = async_nats::connect(cluster.url()).await.expect("connected");
    let asked =
        client.request("$JS.API.DIRECT.GET.KV_leases.$KV.leases.lock.model", bytes::Bytes::new()).await;
    let record = asked.expect("the record").payload;
    let pid = daemon.process().pid();

    fill(&cluster, 0..FEW, &record).await;
    assert_eq!(list(&daemon).await.0, FEW);
    peak(pid);
    assert_eq!(list(&daemon).await.0, FEW);
    let few = peak(pid);
    fill(&cluster, FEW..MANY, &record).await;
    peak(pid);
    let (names, took) = list(&daemon).await;
    let many = peak(pid);
    println!("{FEW} names: a peak of {few} KiB; {names} names: {many} KiB, in {took:.1?}");
    assert_eq!(names, MANY);
    assert!(many < few + ALLOWANCE, "{few} KiB for {FEW}, {many} KiB for {MANY}");
}
