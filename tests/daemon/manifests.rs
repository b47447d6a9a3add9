//! The manifests for Kubernetes, as far as they can be tried without a cluster: against its schemas, strictly.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use support::programs::workspace;
use support::{Folder, Launch, python};

use crate::turns::together;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn kubernetes_takes_the_manifests() {
    let _cores = together().await;
    let folder = workspace().join("lease-daemon/deploy/kubernetes");
    let manifests = ["sidecar.yaml", "daemonset.yaml"].map(|name| folder.join(name));
    let said = validate(&manifests).await;
    assert_eq!(said.exit.code, Some(0), "{said:?}");
    for manifest in &manifests {
        let text = fs::read_to_string(manifest).unwrap();
        // What the daemon needs at its end, and the way in that clients have.
        let grace = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("terminationGracePeriodSeconds: "))
            .unwrap();
        assert!(grace.parse::<u32>().unwrap() > 10, "{grace}");
        assert!(text.matches("/run/lease/lease.sock").count() >= 2, "{text}");
    }
    // And it does look.
    let broken = Folder::new("manifest");
    let text = fs::read_to_string(&manifests[0]).unwrap().replace("startupProbe:", "startUpProbe:");
    fs::write(broken.join("broken.yaml"), text).unwrap();
    let said = validate(&[broken.join("broken.yaml")]).await;
    assert!(said.exit.code != Some(0) && format!("{said:?}").contains("startUpProbe"), "{said:?}");
}

async fn validate(manifests: &[PathBuf]) -> support::process::Output {
    let program = python::python().unwrap().with_file_name("kubernetes-validate");
    Launch::program(program).arg("--strict").args(manifests).output(LIMIT).await
}
