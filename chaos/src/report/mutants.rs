//! That the suite would notice: the known wrong versions of the protocol, and what caught each.

use super::svg::escape;

/// The page of the mutants, which `tests/mutants/run --chaos --table` writes.
const TABLE: &str = include_str!("../../mutants.md");

/// The table, folded.
pub fn section() -> String {
    let (all, caught) = (rows().count(), rows().filter(|row| is_caught(row)).count());
    let body: String = rows().map(|cells| row(&cells)).collect();
    format!(
        "<section class=\"card\"><h2>Would it notice?</h2><p>{caught} of {all} known wrong versions of the protocol were caught on \
         real clusters like this one.</p><details><summary>Which, and what caught each</summary>\
         <table id=\"mutants\"><thead><tr><th>Wrong version</th><th>Caught by</th><th>Property</th><th>The first violation</th>\
         <th class=\"number\">Runs</th><th>On</th></tr></thead><tbody>{body}</tbody></table></details></section>\n"
    )
}

/// The cells of each mutant; not of the protocol as it is.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `unchanged`"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// Whether it was caught; a dash stands where it was not.
fn is_caught(cells: &[&str]) -> bool {
    cells.get(1).is_some_and(|by| *by != "–")
}

fn row(cells: &[&str]) -> String {
    let cell = |at: usize| escape(&cells.get(at).copied().unwrap_or_default().replace(['`', '*', '\\'], ""));
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
        cell(0),
        cell(1),
        cell(2),
        cell(3),
        cell(4),
        cell(6)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_page_is_shown_with_what_caught_it() {
        let page = section();
        assert!(rows().count() > 20, "{page}");
        for cells in rows() {
            assert_eq!(cells.len(), 7, "{cells:?}");
            assert!(page.contains(&row(&cells)), "{cells:?}");
        }
        assert!(!page.contains("unchanged"), "{page}");
        assert!(page.contains("<td>margin-forgotten</td><td>calm, seed 1</td>"), "{page}");
    }
}
