//! Another client reads the record with a plain KV get.

use std::time::Duration;

use support::Cluster;

const READ: &str = r#"
import asyncio, json, sys, nats
async def main():
    client = await nats.connect(sys.argv[1])
    bucket = await client.jetstream().key_value("leases")
    entry = await bucket.get("lock." + sys.argv[2])
    print(json.dumps({"revision": entry.revision, "record": json.loads(entry.value)}))
    await client.close()
asyncio.run(main())
"#;

async fn read(cluster: &Cluster, name: &str) -> serde_json::Value {
    let python = support::python::python().expect("nats-py");
    let output = support::Launch::program(python)
        .args(["-c", READ, &cluster.url(), name])
        .output(Duration::from_secs(20))
        .await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_py_finds_holder_owner_ttl_and_token() {
    let cluster = Cluster::single().await;
    let space = super::space(&cluster.url()).await;
    let metadata = [("build".to_owned(), "77".to_owned())].into();
    let lock = space.lock("orders.42").owner("shop").ttl(Duration::from_secs(20)).metadata(metadata);
    // However long it takes to start Python, there is no renewal before the one below.
    let lease = lock.renewed_by_caller().acquire().await.expect("granted");
    let fresh = read(&cluster, "orders.42").await;
    assert_eq!(fresh["record"]["token"], serde_json::Value::Null, "not known before the first renewal");
    assert_eq!(fresh["revision"], lease.token().get(), "then it is the entry's own revision");
    assert_eq!(fresh["record"]["owner"], "shop");
    assert_eq!(fresh["record"]["ttl_ms"], 20_000);
    assert_eq!(fresh["record"]["metadata"]["build"], "77");
    assert_eq!(fresh["record"]["v"], 1);
    assert!(fresh["record"]["holder"].as_str().is_some_and(|holder| !holder.is_empty()));
    assert_eq!(fresh["record"]["pid"], std::process::id());

    lease.renew().await.expect("renewed");
    let renewed = read(&cluster, "orders.42").await;
    assert_eq!(renewed["record"]["token"], lease.token().get());
    assert_eq!(renewed["record"]["holder"], fresh["record"]["holder"]);
    assert_eq!(renewed["record"]["since"], fresh["record"]["since"], "carried unchanged");
}
