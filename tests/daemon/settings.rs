//! Settings as an operator meets them: `--check`, what is said when something is wrong, and the example in the
//! repository.

use std::fs;

use support::programs::workspace;
use support::{Folder, Launch};

use crate::SOON;
use crate::turns::together;

#[tokio::test]
async fn check_prints_what_counts_and_no_secrets() {
    let _cores = together().await;
    let folder = Folder::new("settings");
    let file = folder.join("lease.toml");
    fs::write(
        &file,
        "[nats]\nurl = \"nats://me:hunter2@a:4222\"\nbucket = \"one\"\n[metrics]\naddress = \"1\"\n",
    )
    .unwrap();
    let launch =
        Launch::daemon().env("LEASE_CONFIG", &file).env("LEASE_BUCKET", "two").env("LEASE_METRICS", ":2");
    // Empty is unset.
    let launch = launch.env("LEASE_NATS", "").args(["--check", "--metrics", "3"]);
    let output = launch.output(SOON).await;
    assert_eq!((output.exit.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    for line in
        ["url = \"nats://***@a:4222\"", "bucket = \"two\"", "address = \"127.0.0.1:3\"", "mode = \"0660\""]
    {
        assert!(output.stdout.lines().any(|it| it == line), "{line} is not in\n{}", output.stdout);
    }
    fs::write(&file, &output.stdout).unwrap();
    let again = Launch::daemon().args(["--check", "--config"]).arg(&file).output(SOON).await;
    assert_eq!(again.stdout, output.stdout, "what it prints is a file that says the same");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line() {
    let _cores = together().await;
    let folder = Folder::new("settings");
    let file = folder.join("lease.toml");
    let (name, missing) = (file.display().to_string(), folder.join("none").display().to_string());
    for (text, variable, args, code, said) in [
        (
            "[nats]\nulr = \"a\"\n",
            ("A", "a"),
            &["--check"][..],
            78,
            format!("{name}:2: ulr: unknown field `ulr`"),
        ),
        ("[socket]\nmode = \"abc\"\n", ("A", "a"), &[], 78, format!("{name}:2: mode: \"abc\" is no mode")),
        ("", ("LEASE_METRICS", "here"), &[], 64, "$LEASE_METRICS: invalid value 'here'".to_owned()),
        ("", ("A", "a"), &["--metrics", "here"], 64, "invalid value 'here' for '--metrics".to_owned()),
        ("", ("A", "a"), &["--natz"], 64, "unexpected argument '--natz' found".to_owned()),
        ("", ("LEASE_BUCKET", "a b"), &[], 64, "nats.bucket = \"a b\": ".to_owned()),
        ("", ("LEASE_CONFIG", &missing), &[], 78, format!("{missing}: No such file")),
    ] {
        fs::write(&file, text).unwrap();
        let launch = Launch::daemon().env("LEASE_CONFIG", &file).env(variable.0, variable.1).args(args);
        let output = launch.arg("--socket").arg(folder.join("s")).output(SOON).await;
        assert_eq!(output.exit.code, Some(code), "{text:?} {args:?}: {output:?}");
        let expected = format!("lease-daemon: {said}");
        assert!(
            output.stderr.starts_with(&expected) && output.stderr.lines().count() == 1,
            "{said}: {}",
            output.stderr
        );
        assert_eq!(output.stdout, "");
    }
}

/// Every key, commented out, and as it is without the file: so nobody has to guess, and nothing changes by itself.
#[tokio::test]
async fn the_example_says_what_counts_anyway() {
    let _cores = together().await;
    let example = workspace().join("lease-daemon/etc/lease.toml");
    let text = fs::read_to_string(&example).unwrap();
    let folder = Folder::new("settings");
    let check = |file: Option<&std::path::Path>| {
        let launch = Launch::daemon().args(["--check", "--socket", "/run/lease/lease.sock"]);
        match file {
            Some(file) => launch.arg("--config").arg(file),
            None => launch,
        }
        .output(SOON)
    };
    let usual = check(None).await;
    assert_eq!(check(Some(&example)).await.stdout, usual.stdout);
    // `#key = value` is a setting, `# …` a sentence.
    let set = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    let all: String = text.lines().map(|line| set(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
    let file = folder.join("all.toml");
    fs::write(&file, &all).unwrap();
    let everything = check(Some(&file)).await;
    assert_eq!(everything.exit.code, Some(0), "{}", everything.stderr);
    for line in usual.stdout.lines().filter(|line| line.contains('=')) {
        let key = line.split('=').next().unwrap_or_default();
        let known = all.lines().any(|it| it.split('=').next() == Some(key));
        assert!(known, "the example says nothing of {line}");
    }
}
