//! `lease-lib/src/docs/fencing.sql`, as it is shown to the reader.

use support::{Postgres, Session};

/// The file.
pub fn text() -> String {
    let path = support::programs::workspace().join("lease-lib/src/docs/fencing.sql");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Its statements: blocks between empty lines, without the comments before them.
fn statements() -> Vec<String> {
    let without_comments = |block: &str| {
        let code: Vec<&str> = block.lines().filter(|line| !line.starts_with("--")).collect();
        code.join("\n")
    };
    let all: Vec<String> =
        text().split("\n\n").map(without_comments).filter(|code| !code.is_empty()).collect();
    assert_eq!(all.len(), 8, "two tables, four statements, two functions: {all:#?}");
    all
}

/// A server with the recipe's tables and functions.
pub async fn server() -> Postgres {
    let server = Postgres::start().await;
    let mut session = server.session();
    for statement in statements().iter().filter(|it| it.starts_with("CREATE")) {
        session.must(statement).await;
    }
    server
}

/// A session that knows the recipe's statements.
pub async fn session(server: &Postgres) -> Session {
    let mut session = server.session();
    for statement in statements().iter().filter(|it| it.starts_with("PREPARE")) {
        session.must(statement).await;
    }
    session
}

/// The guide's SQL is the file's, word for word.
#[test]
fn the_guide_shows_the_same() {
    let guide = support::programs::workspace().join("lease-lib/src/docs/fencing.md");
    let guide = std::fs::read_to_string(guide).expect("a guide");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let file = words(&text());
    let blocks: Vec<&str> =
        guide.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for statement in blocks.iter().flat_map(|block| block.split("\n\n")) {
        assert!(file.contains(&words(statement)), "not in fencing.sql:\n{statement}");
    }
}
