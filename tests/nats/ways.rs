//! Every way to connect, against a server configured so: it works, and what is refused is said at once, with who refused
//! it, and without a secret.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lease::Error;
use lease::store::{NatsOptions, NatsTls, Store};
use support::{Authority, Certified, Cluster, Folder, Operator, eventually};

use crate::credentials::{denied, guarded, with};
use crate::{LIMIT, put, settle, try_open};

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("written");
}

async fn works(url: &str, options: NatsOptions) {
    let store = try_open(url, options).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(store.probe().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_tokens_in_files_are_read_for_each_connection() {
    let folder = Folder::new("secrets");
    let (password, token) = (folder.join("password"), folder.join("token"));
    let users = "users: [{user: alice, password: s3cret}, {user: bob, password: \" s3cret \"}]";
    let cluster = guarded(&format!("authorization {{ {users} }}")).await;
    let alice = || NatsOptions {
        user: Some("alice".into()),
        password_file: Some(password.clone()),
        ..NatsOptions::default()
    };
    assert!(denied(&cluster.url(), alice()).await.contains("password"), "no such file");
    write(&password, "\n");
    assert!(denied(&cluster.url(), alice()).await.contains("is empty"));
    write(&password, "wr0ng\n");
    let said = denied(&cluster.url(), alice()).await;
    let at = cluster.url().replace("nats://", "");
    assert!(
        said.contains(&format!("{at} does not let in user \"alice\": authorization violation")),
        "{said}"
    );
    write(&password, "s3cret\r\n");
    works(&cluster.url(), alice()).await;
    // Only line ends behind it are left out.
    write(&password, " s3cret \n");
    works(&cluster.url(), NatsOptions { user: Some("bob".into()), ..alice() }).await;

    let cluster = guarded("authorization { token: s3cret }").await;
    let options = || NatsOptions { token_file: Some(token.clone()), ..NatsOptions::default() };
    write(&token, "wr0ng");
    let said = denied(&cluster.url(), options()).await;
    assert!(said.contains(&format!("does not let in the token of {}", token.display())), "{said}");
    write(&token, "s3cret\n");
    works(&cluster.url(), options()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nkeys() {
    let folder = Folder::new("nkeys");
    let file = folder.join("user.nk");
    let (mine, other) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let cluster = guarded(&format!("authorization {{ users: [{{nkey: {}}}] }}", mine.public_key())).await;
    let by_file = || NatsOptions { nkey_file: Some(file.clone()), ..NatsOptions::default() };
    let seed = |key: &nkeys::KeyPair| key.seed().expect("a seed");
    works(&cluster.url(), NatsOptions { nkey_seed: Some(seed(&mine)), ..NatsOptions::default() }).await;
    write(&file, &format!("{}\n", seed(&mine)));
    works(&cluster.url(), by_file()).await;
    write(&file, &seed(&other));
    let said = denied(&cluster.url(), by_file()).await;
    assert!(
        said.contains(&format!("does not let in nkey {} of {}", other.public_key(), file.display())),
        "{said}"
    );
    assert!(!said.contains(&seed(&other)));
    write(&file, "SUs3cret");
    assert!(denied(&cluster.url(), by_file()).await.contains("begins with SU"));
    assert!(denied(&cluster.url(), NatsOptions::default()).await.contains("a client without credentials"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_files() {
    let folder = Folder::new("creds");
    let file = folder.join("user.creds");
    let operator = Operator::default();
    let cluster = guarded(&operator.config()).await;
    let options = || NatsOptions { credentials_file: Some(file.clone()), ..NatsOptions::default() };
    write(&file, &operator.credentials(None).0);
    works(&cluster.url(), options()).await;
    // Of another operator; expired; none at all.
    let (foreign, user) = Operator::default().credentials(None);
    write(&file, &foreign);
    let said = denied(&cluster.url(), options()).await;
    assert!(
        said.contains(&format!("does not let in the credentials of {} (user {user})", file.display())),
        "{said}"
    );
    let seed = foreign.lines().find(|line| line.starts_with("SU")).expect("a seed");
    assert!(!said.contains(seed) && !said.contains("eyJ"), "{said}");
    let (expired, _) = operator.credentials(Some(Duration::from_secs(1)));
    write(&file, &expired);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let said = denied(&cluster.url(), options()).await;
    assert!(said.contains("which expired"), "{said}");
    write(&file, "s3cret");
    assert!(denied(&cluster.url(), options()).await.contains("is no credentials file"));
}

/// A user's JWT ends while it is connected. What is asked meanwhile is refused with the reason; new credentials in the
/// same file are taken without help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_can_be_renewed_in_their_file() {
    let folder = Folder::new("renewed");
    let file = folder.join("user.creds");
    let operator = Operator::default();
    let cluster = guarded(&operator.config()).await;
    write(&file, &operator.credentials(Some(Duration::from_secs(3))).0);
    let options = NatsOptions { credentials_file: Some(file.clone()), ..NatsOptions::default() };
    let store = try_open(&cluster.url(), options).await.expect("let in");
    let why = eventually("expiry", LIMIT, async || match store.probe().await {
        Err(Error::Denied(why)) => Some(why),
        _ => None,
    })
    .await;
    assert!(why.contains("which expired"), "{why}");
    write(&file, &operator.credentials(None).0);
    settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    assert_eq!(store.probe().await, Ok(()));
}

/// The URL of a server by the name that its certificate has, with TLS demanded.
fn tls_url(cluster: &Cluster, host: &str) -> String {
    cluster.url().replace("nats://127.0.0.1", &format!("tls://{host}"))
}

fn tls(authority: &Authority, client: Option<&Certified>) -> NatsOptions {
    let tls = NatsTls {
        ca_file: Some(authority.ca()),
        cert_file: client.map(|client| client.cert.clone()),
        key_file: client.map(|client| client.key.clone()),
        ..NatsTls::default()
    };
    NatsOptions { tls, ..NatsOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_an_authority_of_ones_own() {
    let (mine, other) = (Authority::default(), Authority::default());
    let cluster = guarded(&mine.server(&["localhost"], "")).await;
    let url = tls_url(&cluster, "localhost");
    works(&url, tls(&mine, None)).await;
    // A server that demands TLS gets it from whoever asked for none.
    works(&url.replace("tls://", "nats://"), tls(&mine, None)).await;
    let said = denied(&url, tls(&other, None)).await;
    assert!(said.contains("the TLS certificate of localhost:") && said.contains("is not accepted"), "{said}");
    assert!(said.contains(&other.ca().display().to_string()), "{said}");
    // By the system's authorities.
    denied(&url, NatsOptions::default()).await;
    // By a name that the certificate does not have.
    let said = denied(&tls_url(&cluster, "127.0.0.1"), tls(&mine, None)).await;
    assert!(said.contains("is not accepted") && said.contains("name"), "{said}");
    let folder = Folder::new("ca");
    write(&folder.join("ca.pem"), "no certificate");
    let empty = NatsTls { ca_file: Some(folder.join("ca.pem")), ..NatsTls::default() };
    let said = denied(&url, NatsOptions { tls: empty, ..NatsOptions::default() }).await;
    assert!(said.contains("it has no PEM"), "{said}");
}

/// Credentials are not sent in the clear where TLS is demanded and the server has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tls_is_demanded_nothing_is_sent_without() {
    let authority = Authority::default();
    let cluster = guarded("authorization { user: alice, password: s3cret }").await;
    let options = NatsOptions { tls: tls(&authority, None).tls, ..with("alice", "s3cret") };
    let said = denied(&cluster.url(), options).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    denied(&tls_url(&cluster, "127.0.0.1"), with("alice", "s3cret")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_client_certificates() {
    let (mine, other) = (Authority::default(), Authority::default());
    let cluster = guarded(&mine.server(&["localhost", "127.0.0.1"], "verify: true")).await;
    let url = tls_url(&cluster, "localhost");
    let (client, foreign) = (mine.issue("client", &["client"]), other.issue("client", &["client"]));
    works(&url, tls(&mine, Some(&client))).await;
    let said = denied(&url, tls(&mine, None)).await;
    assert!(said.contains("which shows no TLS certificate"), "{said}");
    let said = denied(&url, tls(&mine, Some(&foreign))).await;
    assert!(said.contains(&format!("refuses the TLS certificate of {}", foreign.cert.display())), "{said}");
    // A key that belongs to another certificate; half of the two; none there.
    let mixed = Certified { cert: client.cert.clone(), key: foreign.key };
    let said = denied(&url, tls(&mine, Some(&mixed))).await;
    assert!(said.contains("no TLS with localhost"), "{said}");
    let gone = Certified { key: "/nowhere/client.key".into(), ..client.clone() };
    assert!(denied(&url, tls(&mine, Some(&gone))).await.contains("/nowhere/client.key"));
    let mut half = tls(&mine, Some(&client));
    half.tls.key_file = None;
    let refused = try_open(&url, half).await.expect_err("half a pair");
    assert!(matches!(refused, Error::InvalidSetting { setting: "TLS client certificate", .. }), "{refused}");
}

/// Who a client is may be said by its certificate alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_by_their_certificates() {
    let authority = Authority::default();
    let users = "authorization { users: [{user: \"CN=known\"}] }";
    let server = authority.server(&["localhost"], "verify_and_map: true");
    let cluster = guarded(&format!("{server}\n{users}")).await;
    let url = tls_url(&cluster, "localhost");
    works(&url, tls(&authority, Some(&authority.issue("known", &[])))).await;
    let unknown = authority.issue("unknown", &[]);
    let said = denied(&url, tls(&authority, Some(&unknown))).await;
    assert!(
        said.contains(&format!("the holder of the TLS certificate {}", unknown.cert.display())),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_before_the_greeting() {
    let authority = Authority::default();
    let cluster = guarded(&authority.server(&["localhost"], "handshake_first: true")).await;
    let url = tls_url(&cluster, "localhost");
    let mut first = tls(&authority, None);
    first.tls.first = true;
    works(&url, first.clone()).await;
    // Each waits for the other's first word.
    let refused = try_open(&url, tls(&authority, None)).await.expect_err("no greeting");
    assert!(matches!(refused, Error::Unreachable(_)), "{refused}");
    let plain = Cluster::single().await;
    let said = denied(&plain.url(), first).await;
    assert!(said.contains("not from the start (handshake_first)"), "{said}");
}

/// One of several servers refuses, or is not there: another lets in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_servers_is_enough() {
    let (open, locked) = (Cluster::single().await, guarded("authorization { user: a, password: b }").await);
    let urls = format!("{},nats://127.0.0.1:9, {}", locked.url(), open.url());
    for _ in 0..10 {
        works(&urls, NatsOptions::default()).await;
    }
    // If none lets in, the refusal says more than that others are out of reach.
    let said = denied(&format!("nats://127.0.0.1:9,{}", locked.url()), NatsOptions::default()).await;
    assert!(said.contains("does not let in"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ways_at_once_are_refused_before_anything_is_sent() {
    let inside = "nats://alice:s3cret@127.0.0.1:9";
    for (url, options) in [
        ("nats://127.0.0.1:9", NatsOptions { token: Some("s3cret".into()), ..with("alice", "s3cret") }),
        (inside, NatsOptions { credentials_file: Some("x.creds".into()), ..NatsOptions::default() }),
    ] {
        let refused = try_open(url, options).await.expect_err("two ways");
        let said = refused.to_string();
        assert!(matches!(refused, Error::InvalidSetting { setting: "NATS credentials", .. }), "{said}");
        assert!(said.contains(" and ") && !said.contains("s3cret"), "{said}");
    }
}

/// A server that lets in and throws out again is not asked without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnecting_does_not_spin() {
    let cluster = Cluster::single().await;
    let proxy = support::Proxy::start(&cluster.url()).await;
    let store = try_open(&proxy.url(), NatsOptions::default()).await.expect("opened");
    let mut connections = store.connections();
    let begun = Instant::now();
    let mut count = 0;
    while let Some(left) = Duration::from_secs(6).checked_sub(begun.elapsed()) {
        proxy.cut();
        count += usize::from(tokio::time::timeout(left, connections.changed()).await.is_ok());
    }
    // The pauses are 25 to 200 ms, 50 to 400, 100 to 800 and so on up to 2 s; the first alone would make fifty.
    assert!((2..=24).contains(&count), "{count} connections in 6 s");
    settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
}
