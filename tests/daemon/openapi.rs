//! The served document is true: schemathesis makes requests from it, valid ones and others, and looks at the answers.
//!
//! `SCHEMATHESIS_SECONDS=600 SCHEMATHESIS_SEED=7 cargo test -p lease-tests --test daemon openapi -- --nocapture` looks
//! longer, or again at what a run has found.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use support::programs::workspace;
use support::{Daemon, Folder, Launch, python};

use crate::turns::together;

/// Checks that the committed document says that this request may be refused with this status and code, if it says
/// anything of it.
#[track_caller]
pub fn may_be_refused(method: &str, target: &str, status: u16, code: &str) {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let text = std::fs::read(workspace().join("lease-daemon/openapi.json")).expect("a document");
        serde_json::from_slice(&text).expect("JSON")
    });
    let path = target.split('?').next().unwrap_or_default();
    let fits = |described: &str| {
        let (parts, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), described.split('/').collect());
        let fits =
            |(part, wanted): (&&str, &&str)| part == wanted || (wanted.starts_with('{') && !part.is_empty());
        parts.len() == wanted.len() && parts.iter().zip(&wanted).all(fits)
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let Some((_, item)) = paths.iter().find(|(described, _)| fits(described)) else { return };
    let Some(operation) = item.get(method.to_lowercase()) else { return };
    let described = operation["responses"][status.to_string()]["$ref"].as_str();
    let response = described.and_then(|reference| DOCUMENT.pointer(reference.trim_start_matches('#')));
    let response = response.unwrap_or_else(|| panic!("{method} {target}: {status} is not documented"));
    let codes =
        &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
    let listed = codes.as_array().is_some_and(|codes| codes.iter().any(|listed| listed == code));
    assert!(listed, "{method} {target}: {code} is not among {codes}");
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[tokio::test]
async fn schemathesis_finds_no_server_error_and_no_answer_that_is_not_documented() {
    let _cores = together().await;
    let python = tokio::task::spawn_blocking(python::python).await.unwrap().unwrap();
    let seconds = number("SCHEMATHESIS_SECONDS").unwrap_or(60);
    let seed = number("SCHEMATHESIS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("schemathesis for {seconds} s, SCHEMATHESIS_SEED={seed}");

    let mut daemon = Daemon::start([""; 0]).await;
    let folder = workspace().join("tests/clients/schemathesis");
    // It leaves notes of its own wherever it runs.
    let notes = Folder::new("schemathesis");
    let run = Launch::program("env")
        .arg("-C")
        .arg(notes.path())
        .arg(python.with_file_name("st"))
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", "http://lease/v1/openapi.json", "--checks", "all", "--phases"])
        .args(["examples,coverage,fuzzing,stateful", "--no-color", "--warnings", "off"])
        .args(["--max-time", &seconds.to_string(), "--seed", &seed.to_string()])
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("LEASE_SOCKET", daemon.socket())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output(Duration::from_secs(4 * seconds + 120))
        .await;
    assert!(run.exit.code == Some(0), "SCHEMATHESIS_SEED={seed}\n{}\n{}", run.stdout, run.stderr);
    eprintln!("{}", run.stdout);
    assert!(daemon.process().running(), "the daemon has ended:\n{}", daemon.process().stderr());
    assert!(!daemon.process().stderr().contains("panicked"), "{}", daemon.process().stderr());
    daemon.api().get("/readyz").await.expect(200);
}
