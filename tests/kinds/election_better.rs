//! A leader that yields to a better candidate.

use std::time::Duration;

use lease::{End, Space};
use tokio::sync::mpsc;

use crate::{LIMIT, everywhere};

mod yielding {
    use super::*;
    everywhere!(super::a_leader_yields_to_the_better_one_of_two_with_one_name_and_stands_again);
}

/// `twin` stands twice: first one that is no better than who leads, then one that is.
async fn a_leader_yields_to_the_better_one_of_two_with_one_name_and_stands_again(one: Space, two: Space) {
    let ttl = Duration::from_secs(5);
    let leads = one.election("e").owner("leads").priority(1).ttl(ttl).yields_to_better();
    let twin = |priority| two.election("e").owner("twin").priority(priority).ttl(ttl);
    let (tell, mut told) = mpsc::unbounded_channel();
    let works = async || {
        let done = leads.run(&0, async |term| {
            tell.send(term.token()).expect("it is listened to");
            std::future::pending::<()>().await
        });
        done.await.expect("it works on")
    };
    let story = async {
        let first = told.recv().await.expect("elected");
        let worse = tokio::spawn({
            let twin = twin(0);
            async move { twin.campaign(&0).await }
        });
        support::eventually("the worse one stands", LIMIT, async || {
            (leads.candidates().await.ok()?.len() == 1).then_some(())
        })
        .await;
        let better = twin(5).campaign_within(&0, LIMIT).await.expect("answered").expect("elected");
        assert!(better.token() > first);
        let previous = better.previous().expect("somebody led before");
        assert_eq!((previous.holder.as_str(), previous.why), ("leads", End::HandedOver));
        // Who yielded stands again, and is preferred to the worse one.
        support::eventually("it stands again", LIMIT, async || {
            let all = leads.candidates().await.ok()?;
            all.iter().any(|candidate| candidate.owner == "leads").then_some(())
        })
        .await;
        let token = better.token();
        better.resign().await.expect("resigned");
        assert!(told.recv().await.expect("elected again") > token);
        assert!(!worse.is_finished(), "it was never its turn");
        worse.abort();
    };
    tokio::select! {
        () = works() => panic!("it works for ever"),
        () = story => {}
    }
}
