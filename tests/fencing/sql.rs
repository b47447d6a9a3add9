//! The rules of the SQL recipe, one by one, with tokens as plain numbers.

use support::postgres::Answer;
use support::{Session, eventually};

use crate::recipe;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

async fn account(session: &mut Session, id: &str) -> String {
    let read = format!("SELECT balance || '/' || fence AS value FROM account WHERE id = '{id}'");
    session.must(&read).await.text
}

fn written(answer: &Answer) -> bool {
    assert_eq!(answer.state, "00000", "{}", answer.text);
    assert!(answer.rows <= 1);
    answer.rows == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_token_changes_no_row() {
    let server = recipe::server().await;
    let mut one = recipe::session(&server).await;
    assert!(!written(&one.run("EXECUTE write('a', 1, 5)").await), "no such account");
    assert!(written(&one.run("EXECUTE put('a', 1, 5)").await));
    assert!(written(&one.run("EXECUTE write('a', 2, 5)").await), "the same holder, again");
    assert!(written(&one.run("EXECUTE put('a', 3, 7)").await));
    for late in ["write('a', 9, 6)", "put('a', 9, 6)", "take_over('a', 6)", "write('a', 9, NULL)"] {
        let answer = one.run(&format!("EXECUTE {late}")).await;
        assert!(!written(&answer), "{late}");
        assert_eq!(account(&mut one, "a").await, "3/7", "{late}");
    }
    // The highest token there is.
    assert!(written(&one.run("EXECUTE write('a', 4, 9007199254740991)").await));
    assert_eq!(account(&mut one, "a").await, "4/9007199254740991");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_over_before_reading_is_not_overtaken() {
    let server = recipe::server().await;
    let mut one = recipe::session(&server).await;
    for (id, takes_over) in [("with", true), ("without", false)] {
        one.must(&format!("EXECUTE put('{id}', 100, 5)")).await;
        if takes_over {
            assert!(written(&one.run(&format!("EXECUTE take_over('{id}', 7)")).await));
        }
        let read = account(&mut one, id).await;
        assert!(read.starts_with("100/"), "{read}");
        let late = one.run(&format!("EXECUTE write('{id}', 50, 5)")).await;
        assert_eq!(written(&late), !takes_over, "{id}: only the row knows which tokens there were");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_of_a_shared_lock_do_not_lock_each_other_out() {
    let server = recipe::server().await;
    let mut one = recipe::session(&server).await;
    one.must("EXECUTE put('a', 1, 5)").await;
    assert!(written(&one.run("EXECUTE write_shared('a', 2, 7)").await));
    assert!(
        written(&one.run("EXECUTE write_shared('a', 3, 6)").await),
        "granted earlier, and still a holder"
    );
    for token in [4, 5] {
        let late = one.run(&format!("EXECUTE write_shared('a', 9, {token})")).await;
        assert!(!written(&late), "{token} is no later grant than the exclusive one");
    }
    assert!(written(&one.run("EXECUTE write('a', 4, 8)").await));
    assert!(
        !written(&one.run("EXECUTE write_shared('a', 9, 7)").await),
        "after an exclusive one it has lost"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_raises_where_a_token_is_old() {
    let server = recipe::server().await;
    let mut one = recipe::session(&server).await;
    // Fenced by `f` as a whole, in two tables, and nothing of it stays.
    let transfer = |function: &str, token: u64| {
        format!("BEGIN\\; SELECT {function}('f', {token})\\; INSERT INTO account VALUES ('new', 1)\\; COMMIT")
    };
    for (function, token, state) in [
        ("lease_fence", 5, "00000"),
        ("lease_fence", 5, "00000"),
        ("lease_fence_shared", 9, "00000"),
        ("lease_fence_shared", 7, "00000"), // granted earlier, and still a holder
        ("lease_fence", 5, "LF001"),        // before those who share
        ("lease_fence", 8, "LF001"),        // between them: it never was a holder beside them
        ("lease_fence", 10, "00000"),
        ("lease_fence_shared", 9, "LF001"),
        ("lease_fence", 9, "LF001"),
        ("lease_fence_shared", 11, "00000"),
    ] {
        let answer = one.run(&transfer(function, token)).await;
        assert_eq!(answer.state, state, "{function}({token}): {}", answer.text);
        one.run("ROLLBACK").await;
        let gone = one.must("DELETE FROM account WHERE id = 'new'").await;
        assert_eq!(gone.rows, u64::from(state == "00000"), "{function}({token})");
    }
    assert_eq!(one.run("SELECT lease_fence('other', 1)").await.state, "00000", "each resource has its own");
    assert_ne!(one.run("SELECT lease_fence(NULL, 1)").await.state, "00000");
    assert_ne!(one.run("SELECT lease_fence('other', NULL)").await.state, "00000");
}

/// The newer holder's write is not committed yet when the older one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_the_older_is_refused_at_every_isolation_level() {
    let server = recipe::server().await;
    let (mut new, mut old) = (recipe::session(&server).await, recipe::session(&server).await);
    let levels = [("READ COMMITTED", "00000"), ("REPEATABLE READ", "40001"), ("SERIALIZABLE", "40001")];
    for (n, (level, state)) in levels.into_iter().enumerate() {
        let id = format!("a{n}");
        new.must(&format!("EXECUTE put('{id}', 1, 5)")).await;
        new.must("BEGIN").await;
        new.must(&format!("EXECUTE write('{id}', 2, 7)")).await;
        old.must(&format!("BEGIN ISOLATION LEVEL {level}")).await;
        let late = old.send(&format!("EXECUTE write('{id}', 9, 5)"));
        waiting(&mut new).await;
        new.must("COMMIT").await;
        let late = old.answer(late).await;
        assert_eq!((late.state.as_str(), late.rows), (state, 0), "{level}: {}", late.text);
        old.run("ROLLBACK").await;
        assert!(!written(&old.run(&format!("EXECUTE write('{id}', 9, 5)")).await), "{level}: repeated");
        assert_eq!(account(&mut old, &id).await, "2/7", "{level}");

        // The same by the function.
        new.must("BEGIN").await;
        new.must(&format!("SELECT lease_fence('{id}', 7)")).await;
        old.must(&format!("BEGIN ISOLATION LEVEL {level}")).await;
        let late = old.send(&format!("SELECT lease_fence('{id}', 5)"));
        waiting(&mut new).await;
        new.must("COMMIT").await;
        let late = old.answer(late).await.state;
        assert!(["LF001", "40001"].contains(&late.as_str()), "{level}: {late}");
        old.run("ROLLBACK").await;
        assert_eq!(old.run(&format!("SELECT lease_fence('{id}', 5)")).await.state, "LF001", "{level}");
    }
}

/// Waits until somebody waits for a lock.
async fn waiting(session: &mut Session) {
    let asked = "SELECT count(*) AS value FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually("a statement waits", LIMIT, async || {
        let count = session.must(asked).await.text;
        (count == "1").then_some(())
    })
    .await;
}
