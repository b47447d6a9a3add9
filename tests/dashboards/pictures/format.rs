//! Numbers as Grafana would write them.

/// A value in a unit of Grafana's, with so many digits, or as many as it takes.
pub fn value(value: f64, unit: &str, decimals: Option<usize>) -> String {
    let plain = |value: f64| match decimals {
        Some(digits) => format!("{value:.digits$}"),
        None => short(value),
    };
    match unit {
        "percentunit" => format!("{}%", plain(value * 100.0)),
        "s" if value.abs() >= 5_400.0 => format!("{} h", plain(value / 3_600.0)),
        "s" if value.abs() >= 120.0 => format!("{} min", plain(value / 60.0)),
        "s" if value != 0.0 && value.abs() < 1.0 => format!("{} ms", short(value * 1_000.0)),
        "s" => format!("{} s", plain(value)),
        "bytes" if value.abs() >= 1_048_576.0 => format!("{} MiB", short(value / 1_048_576.0)),
        "bytes" => format!("{} KiB", short(value / 1_024.0)),
        "ops" => format!("{}/s", short(value)),
        _ => plain(value),
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        it if it >= 100.0 || it.fract() == 0.0 => 0,
        it if it >= 10.0 => 1,
        it if it >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A round step that is at least this long.
pub fn nice(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power).find(|it| *it >= least * 0.999).unwrap_or(power)
}

#[test]
fn values_have_their_units() {
    for (number, unit, text) in [
        (0.8, "percentunit", "80%"),
        (0.0025, "s", "2.5 ms"),
        (12.34, "s", "12.3 s"),
        (300.0, "s", "5 min"),
        (3.0 * 1_048_576.0, "bytes", "3 MiB"),
        (0.5, "ops", "0.5/s"),
        (2.0, "none", "2"),
    ] {
        assert_eq!(value(number, unit, None), text);
    }
}
