//! Prometheus and promtool, of Debian's package: the machine's own, or unpacked below `target/`, so that no service is
//! started and nothing is installed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::eventually::eventually;
use crate::folder::Folder;
use crate::http::{get_tcp, json_tcp};
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::programs::target_folder;
use crate::python::output;

const LIMIT: Duration = Duration::from_secs(30);

/// The path of `prometheus` or `promtool`, fetched first where the machine has none.
///
/// # Errors
/// With the way to mend it, where there is none and it could not be fetched.
pub fn tool(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(own) = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file()) {
        return Ok(own);
    }
    let folder = target_folder().join("prometheus");
    let found = folder.join("usr/bin").join(name);
    let lock = target_folder().join("prometheus.lock");
    let lock = File::create(&lock).map_err(|error| format!("cannot create {}: {error}", lock.display()))?;
    lock.lock().map_err(|error| format!("cannot lock target/prometheus.lock: {error}"))?;
    if !found.is_file() {
        fetch(&folder).map_err(|error| {
            format!(
                "no {name}, and Debian's package prometheus could not be fetched: {error}\n\
                 Install it (its service need not run), or run tests/run as root once."
            )
        })?;
    }
    Ok(found)
}

fn fetch(folder: &Path) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", folder.display());
    let aside = folder.with_extension("aside");
    let _ = fs::remove_dir_all(&aside);
    fs::create_dir_all(&aside).map_err(say)?;
    let download =
        || output(Command::new("apt-get").args(["download", "-qq", "prometheus"]).current_dir(&aside));
    // A machine whose package lists are old or absent cannot find anything; one retry after an update mends that.
    if download().is_err() {
        output(Command::new("apt-get").args(["update", "-qq"])).and_then(|_| download())?;
    }
    let package = fs::read_dir(&aside).map_err(say)?.flatten().map(|entry| entry.path());
    let package = package.filter(|path| path.extension().is_some_and(|it| it == "deb")).last();
    let package = package.ok_or("apt-get download gave no package")?;
    output(Command::new("dpkg").arg("-x").arg(&package).arg(aside.join("unpacked")))?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(aside.join("unpacked"), folder).map_err(say)?;
    fs::remove_dir_all(&aside).map_err(say)
}

/// A series of a query's answer.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value then; no NaN.
    pub points: Vec<(f64, f64)>,
}

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: String,
    _port: Port,
    _folder: Folder,
}

impl Prometheus {
    /// Starts one with this configuration and these other files beside it, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready, with what it has written.
    pub async fn start(config: &str, files: &[(&str, &str)]) -> Prometheus {
        let program = tool("prometheus").unwrap_or_else(|error| panic!("{error}"));
        let (port, folder) = (Port::reserve(), Folder::new("prometheus"));
        for (name, text) in files.iter().chain([&("prometheus.yml", config)]) {
            fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let address = format!("127.0.0.1:{}", port.number());
        let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let mut process = Launch::program(program)
            .arg(flag("config.file", &folder.join("prometheus.yml")))
            .arg(flag("storage.tsdb.path", &folder.join("data")))
            .args([format!("--web.listen-address={address}"), "--log.level=warn".into()])
            .start();
        let ready = eventually("Prometheus to be ready", LIMIT, async || {
            if !process.running() {
                return Some(false);
            }
            let answer = get_tcp(&address, "/-/ready", LIMIT).await.ok()?;
            (answer.status == 200).then_some(true)
        });
        assert!(ready.await, "prometheus has ended; it wrote:\n{}", process.stderr());
        Prometheus { process, address, _port: port, _folder: folder }
    }

    /// What it has complained about.
    pub fn complaints(&self) -> String {
        self.process.stderr()
    }

    /// `data` of the answer to a request to its API.
    ///
    /// # Panics
    /// If there is none, with what it says instead.
    pub async fn ask(&self, target: &str) -> Value {
        let answer = json_tcp(&self.address, target, LIMIT).await;
        let mut answer = answer.unwrap_or_else(|| panic!("no answer to {target}"));
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        answer["data"].take()
    }

    /// What an expression gives at a moment.
    pub async fn at(&self, expression: &str, at: f64) -> Vec<Series> {
        let target = format!("/api/v1/query?query={}&time={at:.3}", escape(expression));
        series(&self.ask(&target).await, "value")
    }

    /// What an expression gives now.
    pub async fn now(&self, expression: &str) -> Vec<Series> {
        self.at(expression, now()).await
    }

    /// What an expression gives over time.
    pub async fn over(&self, expression: &str, (from, to): (f64, f64), step: f64) -> Vec<Series> {
        let expression = escape(expression);
        let target =
            format!("/api/v1/query_range?query={expression}&start={from:.3}&end={to:.3}&step={step:.3}");
        series(&self.ask(&target).await, "values")
    }
}

/// Unix time in seconds.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn series(data: &Value, field: &str) -> Vec<Series> {
    let point = |point: &Value| {
        let value: f64 = point[1].as_str()?.parse().ok()?;
        (!value.is_nan()).then_some((point[0].as_f64()?, value))
    };
    if data["resultType"] == "scalar" {
        return vec![Series {
            labels: BTreeMap::new(),
            points: point(&data["result"]).into_iter().collect(),
        }];
    }
    let results = data["result"].as_array().map(Vec::as_slice).unwrap_or_default();
    let series = results.iter().map(|result| {
        let labels = result["metric"].as_object().into_iter().flatten();
        let labels =
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        let points = match &result[field] {
            Value::Array(points) if field == "values" => points.iter().filter_map(point).collect(),
            value => point(value).into_iter().collect(),
        };
        Series { labels: labels.collect(), points }
    });
    series.filter(|series| !series.points.is_empty()).collect()
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
