//! The history of a name that changed hands 100 times, in every way there is: the last 64, each with what ended it.

use std::time::Duration;

use lease::{End, Lease, Loss, Space};
use support::{Cluster, eventually};

const HANDS: usize = 100;
const KEPT: usize = 64;
const LIMIT: Duration = Duration::from_secs(30);

async fn next(space: &Space, hand: usize) -> Lease {
    let lock = space.lock("many/hands").owner(format!("hand {hand}")).ttl(Duration::from_secs(2));
    lock.acquire().await.expect("granted")
}

/// A history line, as it is to be.
type Line = (u64, String, String);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_hands_the_last_64_are_told_with_what_ended_them() {
    let cluster = Cluster::single().await;
    let (one, two) = (crate::space(&cluster.url()).await, super::space(&cluster.url()).await);
    let mut lines: Vec<Line> = Vec::new();
    let mut coming: Option<tokio::task::JoinHandle<Lease>> = None;
    for hand in 0..HANDS {
        let space = if hand % 2 == 0 { &one } else { &two };
        let lease = match coming.take() {
            Some(heir) => heir.await.expect("no panic"),
            None => next(space, hand).await,
        };
        let token = lease.token();
        let why = match hand % 7 {
            0 => {
                lease.release().await.expect("released");
                "released"
            }
            1 => {
                lease.release_as(End::Stopped).await.expect("released");
                "stopped"
            }
            2 => {
                lease.abandon(End::ClientGone);
                "client-gone"
            }
            3 => {
                one.lock("many/hands").break_by_force(token, "stuck", false).await.expect("broken");
                assert_eq!(lease.lost().await, Loss::Broken("stuck".into()));
                "broken"
            }
            4 => {
                let other = if hand % 2 == 0 { two.clone() } else { one.clone() };
                coming = Some(tokio::spawn(async move { next(&other, hand + 1).await }));
                eventually("the heir stands in line", LIMIT, async || {
                    (one.look("many/hands").await.ok()?.waiters.len() == 1).then_some(())
                })
                .await;
                let heir = format!("hand {}", hand + 1);
                lease.hand_over(&heir).await.map_err(|(error, _)| error).expect("handed over");
                "handed-over"
            }
            5 if hand % 3 == 0 => {
                lease.release_as(End::ClientGone).await.expect("released");
                let lock = space.lock("many/hands").owner(format!("hand {hand}")).ttl(Duration::from_secs(2));
                // Beside its own end the one of a holder that does not renew.
                lines.push((token.get(), format!("hand {hand}"), "client-gone".into()));
                let mute = lock.renewed_by_caller().acquire().await.expect("granted");
                assert_eq!(mute.lost().await, Loss::Expired);
                lines.push((mute.token().get(), format!("hand {hand}"), "expired".into()));
                continue;
            }
            _ => {
                lease.release().await.expect("released");
                "released"
            }
        };
        lines.push((token.get(), format!("hand {hand}"), why.to_owned()));
    }
    assert!(lines.len() >= HANDS && lines.iter().filter(|line| line.2 == "expired").count() > 2);
    let expected = lines.split_off(lines.len() - KEPT);
    let told = eventually("the last hand is told of", LIMIT, async || {
        let past = two.history("many/hands").await.ok()?;
        let told: Vec<Line> = past.into_iter().map(|held| (held.token.get(), held.owner, held.why)).collect();
        (told == expected).then_some(told)
    })
    .await;
    assert_eq!(told.len(), KEPT);
    println!("{} holds; the last {KEPT} are told as they ended", lines.len() + KEPT);
}
