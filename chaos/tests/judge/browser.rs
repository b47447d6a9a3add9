//! The page, opened in a real browser: a script that is added to a copy of it looks at what the browser made of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use chaos::history::Kind;

use super::busy::busy;
use super::story::Story;

/// Says what it sees in an attribute of the page.
const PROBE: &str = r##"<script>
addEventListener("load", () => {
  const all = s => [...document.querySelectorAll(s)];
  const hits = [];
  for (const svg of all("svg")) {
    const boxes = [...svg.querySelectorAll("text:not(.token)")].map(t => [t.textContent, t.getBoundingClientRect()]);
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
      if (p.left < q.right && q.left < p.right && p.top + 2 < q.bottom && q.top + 2 < p.bottom) hits.push(a + " / " + b);
    }));
  }
  const frame = all("svg")[0].getBoundingClientRect();
  const out = all("svg text").filter(t => {
    const box = t.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  }).map(t => t.textContent);
  const seen = {
    verdict: document.getElementById("verdict").textContent,
    rows: all("#findings tbody tr:not(.more)").length,
    holds: all("svg rect.hold").length, waits: all("svg line.wait").length, uses: all("svg line.use").length,
    lost: all("svg line.lost").length, bands: all("svg rect.band").length, points: all("svg circle.point").length,
    bars: all("svg rect.bar").length, workers: all("svg text.label").map(t => t.textContent),
    drawings: all("svg").length, hits, out,
    wide: document.documentElement.scrollWidth > innerWidth,
    loaded: performance.getEntriesByType("resource").map(r => r.name),
    paper: getComputedStyle(document.body).backgroundColor,
    injected: all("b:not(.violations b)").length,
    violated: all("#violations li").map(it => it.textContent),
    near: all("section.near svg").length,
    // Of every link from the list: where it leads to must be there, and be seen.
    dead: all("#violations a").filter(a => {
      const goal = document.querySelector(a.getAttribute("href"));
      return !goal || goal.getBoundingClientRect().height === 0;
    }).map(a => a.getAttribute("href")),
    first: (all("#violations")[0] || document.body).getBoundingClientRect().bottom,
  };
  document.documentElement.dataset.seen = encodeURIComponent(JSON.stringify(seen));
});
</script>"##;

fn browser() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|it| it.is_file());
    found.expect("no browser: install Debian's package chromium")
}

/// A folder of its own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("chaos-page-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Folder(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens the page of these lines; returns what the probe saw.
fn open(name: &str, lines: &[String], more: &[&str]) -> Value {
    let folder = Folder::new(name);
    std::fs::write(folder.0.join("history.jsonl"), lines.join("\n")).unwrap();
    chaos::judge::judge(&folder.0).unwrap();
    let page = std::fs::read_to_string(folder.0.join("report.html")).unwrap();
    assert!(!page.contains("<script"), "the page itself needs none");
    let probed = folder.0.join("probed.html");
    std::fs::write(&probed, page.replace("</body>", &format!("{PROBE}</body>"))).unwrap();
    let dom = dump(&folder.0, &probed, more);
    let seen = dom.split("data-seen=\"").nth(1).and_then(|it| it.split('"').next());
    let seen = seen.unwrap_or_else(|| panic!("the page did not load: {}", &dom[..dom.len().min(2_000)]));
    serde_json::from_str(&decoded(seen)).unwrap()
}

fn dump(folder: &Path, page: &Path, more: &[&str]) -> String {
    let output = Command::new(browser())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args(["--disable-component-update", "--disable-sync", "--window-size=1320,1400", "--dump-dom"])
        .args(more)
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_browser_shows_sixteen_workers_for_a_minute() {
    let seen = open("busy", &busy(1, 16, 60), &[]);
    let count = |what: &str| seen[what].as_u64().unwrap();
    assert_eq!(
        (seen["verdict"].as_str(), count("rows"), count("drawings")),
        (Some("holds"), chaos::checkers::ALL.len() as u64, 4),
        "{seen:#}"
    );
    assert!(count("holds") > 300 && count("waits") > 100 && count("uses") > 250, "{seen:#}");
    assert!(count("lost") > 2 && count("points") > 300 && count("bars") > 60, "{seen:#}");
    assert_eq!(count("bands"), 4 * 4, "four faults across four drawings");
    let workers: Vec<&str> = seen["workers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((workers.len(), &workers[..4]), (17, &["faults", "w0", "w1", "w2"][..]));
    assert_eq!(seen["hits"], serde_json::json!([]), "words over each other");
    assert_eq!(seen["out"], serde_json::json!([]), "words outside of the drawing");
    assert_eq!(seen["wide"], false);
    assert_eq!(seen["loaded"], serde_json::json!([]), "it is all in one file");
}

/// Somebody else is granted a lock that one of sixteen holds: it is the first thing that is seen, without scrolling.
#[test]
fn a_violation_is_seen_first_and_leads_to_where_it_was() {
    let mut lines = busy(1, 16, 60);
    let mut beside = Story::new();
    beside.asks(39_900, "w1", 77_777, Kind::Lock, &["aside"]);
    beside.granted(39_950, "w1", 77_777, "aside", 9, 42_000);
    beside.asks(40_000, "w2", 77_777, Kind::Lock, &["aside"]);
    beside.granted(40_050, "w2", 77_777, "aside", 8, 42_000);
    beside.releases(41_000, "w1", 77_777);
    beside.releases(41_100, "w2", 77_777);
    let end = lines.len() - 1;
    lines.splice(end..end, beside.lines.into_iter().skip(1));
    let seen = open("violated", &lines, &[]);
    assert_eq!(seen["verdict"], "VIOLATED");
    let violated = seen["violated"].as_array().unwrap();
    let says = |what: &str| violated.iter().any(|it| it.as_str().unwrap().contains(what));
    assert!(says("w1's op 77777 and w2's op 77777 both believed to hold aside"), "{seen:#}");
    assert!(says("had been told token 9 of aside when w2's op 77777 asked"), "{seen:#}");
    assert_eq!(
        (seen["dead"].as_array().unwrap().len(), seen["out"].as_array().unwrap().len()),
        (0, 0),
        "{seen:#}"
    );
    assert!(seen["near"].as_u64().unwrap() >= 2 && seen["first"].as_f64().unwrap() < 1_000.0, "{seen:#}");
}

#[test]
fn it_is_dark_for_whoever_prefers_that() {
    let light = open("light", &busy(1, 2, 5), &[]);
    let dark =
        open("dark", &busy(1, 2, 5), &["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]);
    assert_eq!(
        (light["paper"].as_str(), dark["paper"].as_str()),
        (Some("rgb(246, 247, 249)"), Some("rgb(18, 22, 28)"))
    );
}

#[test]
fn what_a_history_says_is_never_markup() {
    let evil = "</title></style><b class=injected>&\"'";
    let lines: Vec<String> = busy(1, 2, 5)
        .into_iter()
        .map(|line| {
            line.replace("orders.42", &evil.replace('"', "\\\"")).replace("by-hand", "<b class=injected>")
        })
        .collect();
    let seen = open("evil", &lines, &[]);
    assert_eq!(seen["injected"], 0, "{seen:#}");
    assert_eq!(seen["rows"], chaos::checkers::ALL.len());
}

#[test]
fn a_history_that_says_next_to_nothing_has_a_page_as_well() {
    let seen = open("empty", &["{".to_owned()], &[]);
    assert_eq!(seen["verdict"], "incomplete");
}
