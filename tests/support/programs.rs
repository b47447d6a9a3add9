//! Where cargo puts things, and our own programs in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};

/// `target/<profile>`, the folder in which the running test was built.
pub fn profile_folder() -> PathBuf {
    let exe =
        std::env::current_exe().unwrap_or_else(|error| panic!("cannot find the running program: {error}"));
    let folder = exe.parent().unwrap_or(Path::new("."));
    // Tests are in `deps`, examples in `examples`, programs in the folder itself.
    let nested = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    if nested { folder.parent().unwrap_or(folder).to_path_buf() } else { folder.to_path_buf() }
}

/// `target`: where downloads are kept, so that `cargo clean` removes them too.
pub fn target_folder() -> PathBuf {
    let profile = profile_folder();
    profile.parent().unwrap_or(&profile).to_path_buf()
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The path of `lease-daemon` or `lease`, built in the profile of the running test.
///
/// `cargo test` of this package does not build another package's programs, and a test against yesterday's program
/// proves nothing, so the first call in a process asks cargo to bring them up to date (a fraction of a second if they
/// are). `LEASE_TESTS_PREBUILT=1` says that this was just done.
pub fn program(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| build("--bins", &[]));
    LazyLock::force(&BUILT);
    existing(profile_folder().join(name), "--bins")
}

/// As [`program`], for a `package` that depends on `lease-daemon`: built together, the two share what they depend on.
pub fn program_beside(package: &'static str, name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("--bins", &["-p", package]));
    existing(profile_folder().join(name), "--bins")
}

/// The path of an example of `lease-daemon`, brought up to date as [`program`] does.
pub fn example(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| build("--examples", &[]));
    LazyLock::force(&BUILT);
    existing(profile_folder().join("examples").join(name), "--examples")
}

fn existing(path: PathBuf, targets: &str) -> PathBuf {
    assert!(path.is_file(), "{} is missing: run `cargo build -p lease-daemon {targets}`", path.display());
    path
}

fn build(targets: &str, packages: &[&str]) {
    if std::env::var_os("LEASE_TESTS_PREBUILT").is_some() {
        return;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "lease-daemon", targets]).current_dir(workspace());
    command.args(packages).arg("--target-dir").arg(target_folder());
    let profile = profile_folder();
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(command.args(["--profile", profile])),
    }
    // What cargo told this test about its own package would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let about_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if about_package.iter().any(|prefix| text.starts_with(prefix)) || text == "OUT_DIR" {
            command.env_remove(&name);
        }
    }
    let status =
        command.status().unwrap_or_else(|error| panic!("cannot run cargo to build lease-daemon: {error}"));
    assert!(
        status.success(),
        "`cargo build -p lease-daemon {targets}` failed ({status}); its messages are above"
    );
}
