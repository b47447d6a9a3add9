//! Five candidates, and four hundred changes of office with nothing else running: never two leaders, and hardly a moment
//! without one.

use std::time::Duration;

use lease::{Space, Status, Term};
use support::{Cluster, eventually};
use tokio::sync::mpsc;

use super::Spread;

const CANDIDATES: usize = 5;
const CHANGES: usize = 200;
/// For a change of office with nothing in its way.
const SOON: Duration = Duration::from_millis(50);
pub const LIMIT: Duration = Duration::from_secs(30);

/// A candidate that was elected, and when it was told.
pub struct Elected {
    pub index: usize,
    pub term: Term,
    pub at: u64,
}

/// Candidates of one election, each with a connection of its own.
pub struct Candidates {
    name: String,
    spaces: Vec<Space>,
    tell: mpsc::UnboundedSender<Elected>,
    elected: mpsc::UnboundedReceiver<Elected>,
}

pub fn owner(index: usize) -> String {
    format!("candidate {index}")
}

impl Candidates {
    pub fn new(name: &str, spaces: Vec<Space>) -> Candidates {
        let (tell, elected) = mpsc::unbounded_channel();
        Candidates { name: name.to_owned(), spaces, tell, elected }
    }

    /// This one stands for office.
    pub fn stand(&self, index: usize) {
        let election = self.spaces[index].election(&self.name).owner(owner(index));
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let term = election.campaign(&index).await.expect("elected");
            // The test may be over.
            let _ = tell.send(Elected { index, at: super::now(), term });
        });
    }

    /// Waits until all but the leader stand in line, as the leader sees it.
    pub async fn in_line(&self, leader: usize) {
        let election = self.spaces[leader].election(&self.name);
        let others: Vec<String> =
            (0..self.spaces.len()).filter(|index| *index != leader).map(owner).collect();
        eventually(format!("all but {leader} in line"), LIMIT, async || {
            let mut stand: Vec<_> =
                election.candidates().await.ok()?.into_iter().map(|it| it.owner).collect();
            stand.sort();
            (stand == others).then_some(())
        })
        .await;
    }

    pub async fn next(&mut self) -> Elected {
        let elected = tokio::time::timeout(LIMIT, self.elected.recv()).await;
        elected.expect("somebody leads in time").expect("the sender is here")
    }
}

/// Times without a leader, while the one in office gives it up again and again: to whoever is next, or by name.
async fn changes(candidates: &mut Candidates, leader: Elected, by_name: bool) -> (Elected, Spread) {
    let mut leader = leader;
    let mut gaps = Vec::new();
    for _ in 0..CHANGES {
        candidates.in_line(leader.index).await;
        let heir = (leader.index + 2) % CANDIDATES;
        let Elected { index, term, .. } = leader;
        assert_eq!(term.status(), Status::Held);
        let ended = super::now();
        if by_name {
            term.hand_over(&owner(heir)).await.map_err(|(error, _)| error).expect("handed over");
        } else {
            term.resign().await.expect("resigned");
        }
        leader = candidates.next().await;
        assert!(leader.index != index && (!by_name || leader.index == heir), "{index} to {}", leader.index);
        assert!(leader.at >= ended, "believes before the one before it has stopped");
        gaps.push(Duration::from_nanos(leader.at - ended));
        candidates.stand(index);
    }
    (leader, Spread::of(gaps))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn office_changes_hands_in_a_moment() {
    let _alone = super::alone().await;
    let cluster = Cluster::three().await;
    let mut spaces = Vec::new();
    for index in 0..CANDIDATES {
        spaces.push(super::space(&cluster.url_of(index % 3)).await);
    }
    let mut candidates = Candidates::new("e", spaces);
    (0..CANDIDATES).for_each(|index| candidates.stand(index));
    let leader = candidates.next().await;
    let (leader, resigned) = changes(&mut candidates, leader, false).await;
    println!("resigned: nobody leads for {resigned}");
    let (leader, handed) = changes(&mut candidates, leader, true).await;
    println!("handed over: nobody leads for {handed}");
    assert_eq!(leader.term.status(), Status::Held);
    assert!(resigned.percent(99) < SOON, "resigned: {resigned}");
    assert!(handed.percent(99) < SOON, "handed over: {handed}");
}
