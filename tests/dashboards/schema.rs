//! The pages against Grafana's own published types.

use std::fs;
use std::time::Duration;

use support::npm;
use support::programs::workspace;
use support::{Folder, Launch};

use crate::board;

const HERE: &str = "tests/dashboards/schema";

/// Type-checks pages, each a name and its text; gives what is wrong.
async fn check(pages: &[(&str, &str)]) -> String {
    let packages = npm::packages(HERE).unwrap_or_else(|error| panic!("{error}"));
    let folder = Folder::new("schema");
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.join("node_modules")).unwrap();
    fs::copy(workspace().join(HERE).join("page.ts"), folder.join("page.ts")).unwrap();
    let mut check = Launch::program("node").arg(packages.join("node_modules/typescript/bin/tsc")).args(
        ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"].into_iter().chain([
            "--module",
            "nodenext",
            "--moduleResolution",
            "nodenext",
        ]),
    );
    for (name, text) in pages {
        let path = folder.join(&format!("{name}.ts"));
        // A literal in the source, not an import: only there are words checked one by one, and unknown fields refused.
        let source = format!("import type {{ File }} from './page';\nexport const page: File = {text};\n");
        fs::write(&path, source).unwrap();
        check = check.arg(path);
    }
    let output = check.output(Duration::from_secs(240)).await;
    output.stdout + &output.stderr
}

#[tokio::test]
async fn pages_are_what_grafana_expects() {
    let texts: Vec<(String, String)> =
        board::all().into_iter().map(|board| (board.name, format!("{:#}", board.json))).collect();
    let mut pages: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    // And that the check would notice: an unknown field, an unknown word, a panel without a unit.
    let (_, good) = &texts[0];
    let wrong = [
        ("wrong-field", good.replacen("\"noValue\"", "\"noVlaue\"", 1)),
        ("wrong-word", good.replacen("\"stepAfter\"", "\"stepOver\"", 1)),
        ("wrong-unit", good.replacen("\"unit\": \"s\"", "\"unit\": 1", 1)),
    ];
    pages.extend(wrong.iter().map(|(name, text)| (*name, text.as_str())));
    let said = check(&pages).await;
    for (name, text) in &wrong {
        assert!(text != good, "{name} is not wrong");
        assert!(said.contains(&format!("{name}.ts(")), "{name} passed: {said}");
    }
    let others: Vec<&str> =
        said.lines().filter(|line| line.contains(".ts(") && !line.contains("wrong-")).collect();
    assert!(others.is_empty(), "{others:#?}");
}
