//! Everything a given number of times as fast as rules and pages say, so that minutes fit into a test.
//!
//! What is scaled are times: `for:`, and the windows in brackets. What is compared with a threshold is a share, a sum
//! or an increase, and none of those changes with it.

use std::time::Duration;

/// How fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Times are divided by this.
    pub speed: u32,
    /// How long it is calm before the first fault, and after the last alert.
    pub calm: Duration,
}

/// Between two scrapes at speed 1.
const SCRAPE: Duration = Duration::from_secs(5);

impl Pace {
    /// Between two scrapes.
    pub fn scrape(self) -> Duration {
        SCRAPE / self.speed
    }

    /// A file of rules, faster.
    pub fn rules(self, text: &str) -> String {
        let faster = |line: &str| match line.trim_start().strip_prefix("for: ") {
            Some(time) => line.replace(time, &self.faster(time)),
            None => self.windows(line),
        };
        text.lines().map(|line| faster(line) + "\n").collect()
    }

    /// A page's expression, with its variables filled in, faster. `range` is what the page shows, in seconds.
    pub fn fill(self, expression: &str, range: f64) -> String {
        // Grafana takes four times the scrape's interval; at twenty times the speed the machine's own hiccups count more.
        let rate = self.scrape() * 8;
        self.windows(expression)
            .replace("$__rate_interval", &format!("{}ms", rate.as_millis()))
            .replace("$__range", &format!("{:.0}ms", range * 1000.0))
            .replace("$job", "lease")
            .replace("$instance", ".*")
            .replace("$lock", ".*")
            .replace("$election", ".*")
    }

    fn windows(self, text: &str) -> String {
        let mut parts = text.split('[');
        let mut faster = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (time, rest) = part.split_once(']').expect("a window that ends");
            let time = if time.starts_with('$') { time.to_owned() } else { self.faster(time) };
            faster.push_str(&format!("[{time}]{rest}"));
        }
        faster
    }

    fn faster(self, time: &str) -> String {
        let (number, unit) = time.split_at(time.len() - 1);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => panic!("the unit of {time}"),
        };
        let millis = number.parse::<u64>().expect("a whole number") * seconds * 1000;
        format!("{}ms", millis / u64::from(self.speed))
    }
}

#[test]
fn times_are_divided_and_nothing_else() {
    let pace = Pace { speed: 20, calm: Duration::ZERO };
    let rules = pace.rules("  expr: rate(a[5m]) > 600\n  for: 30s\n  # for: what [1m]\n");
    assert_eq!(rules, "  expr: rate(a[15000ms]) > 600\n  for: 1500ms\n  # for: what [3000ms]\n");
    assert_eq!(pace.fill("rate(a[$__rate_interval]) + b[1h]", 9.0), "rate(a[2000ms]) + b[180000ms]");
}
