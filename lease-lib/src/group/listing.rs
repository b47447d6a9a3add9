//! Who is in a group, page by page.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MAX_MEMBERS, Member};
use crate::core::Core;
use crate::error::Error;
use crate::protocol::{Holder, Slot, key};
use crate::store::{Entry, Revision, Unreadable};

/// How long the pages may take together. Keys that are rewritten meanwhile move towards the end, so without a limit a
/// group that is renewed faster than it is read would be read for ever.
const WITHIN: Duration = Duration::from_secs(12);

/// Lists the members of a group.
///
/// A page that is lost ends it with an error, as old as any read is what it shows: that decides nothing.
pub(super) async fn list(core: &Core, name: &str) -> Result<Vec<Member>, Error> {
    let (filter, end) = (key::members(name), core.now() + WITHIN);
    let mut members = Members::default();
    let mut from: Revision = 1;
    loop {
        let page = core.asked("scan", core.store.scan(&filter, from)).await;
        let page = page.map_err(|Unreadable(why)| Error::Unreachable(why))?;
        page.entries.iter().try_for_each(|entry| members.see(entry))?;
        match page.next.filter(|next| *next > from) {
            None => return Ok(members.in_order()),
            Some(_) if core.now() >= end => {
                let why = "the members change faster than they can be listed: not done after 12 s";
                return Err(Error::Unreachable(why.into()));
            }
            Some(next) => from = next,
        }
    }
}

/// Who was seen so far, by id.
#[derive(Debug, Default)]
struct Members(BTreeMap<String, Holder>);

impl Members {
    /// Takes the next entry. They come in the order of their revisions, so what comes later is newer.
    fn see(&mut self, entry: &Entry) -> Result<(), Error> {
        let Some((_, id)) = key::name_of_member(&entry.key) else { return Ok(()) };
        let holder = match Slot::of(Some(entry)) {
            Slot::Taken { revision, record, .. } if !record.reserved => record.holder_at(revision),
            // Of a newer release: somebody is there, and that is all that is known.
            Slot::Foreign { revision } => Holder::unreadable(revision),
            Slot::Free { .. } | Slot::Taken { .. } | Slot::Shared { .. } => {
                self.0.remove(id);
                return Ok(());
            }
        };
        self.0.insert(id.to_owned(), holder);
        if self.0.len() > MAX_MEMBERS {
            return Err(Error::TooMany { what: "members of one group", limit: MAX_MEMBERS });
        }
        Ok(())
    }

    fn in_order(self) -> Vec<Member> {
        let mut members: Vec<Member> =
            self.0.into_iter().map(|(id, holder)| Member::of(&id, holder)).collect();
        members.sort_by_key(|member| member.token);
        members
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::Record;
    use crate::store::Body;
    use crate::token::Token;

    fn entry(revision: u64, id: &str, body: Body) -> Entry {
        Entry { key: key::member("g.h", id), revision, body, ttl_secs: 22, written_micros: 0 }
    }

    fn record(owner: &str, token: Option<u64>) -> Body {
        let record =
            Record { owner: owner.into(), token: token.map(Token::new), ..Record::nobodys(String::new()) };
        Body::Put(record.encode())
    }

    fn owners(entries: &[Entry]) -> Vec<String> {
        let mut members = Members::default();
        entries.iter().try_for_each(|entry| members.see(entry)).expect("few");
        members.in_order().into_iter().map(|member| member.owner).collect()
    }

    #[test]
    fn renewals_keep_the_order_and_markers_end_a_member() {
        let gone = Body::Delete(Bytes::from_static(b"{}"));
        let (a, b) = (entry(5, "a", record("a", None)), entry(6, "b", record("b", None)));
        let renewed = entry(9, "a", record("a", Some(5)));
        assert_eq!(owners(&[a.clone(), b.clone(), renewed.clone()]), ["a", "b"]);
        assert_eq!(owners(&[b.clone(), renewed]), ["a", "b"], "it moved while it was listed");
        assert_eq!(owners(&[a, b, entry(7, "a", gone)]), ["b"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_member() {
        assert_eq!(owners(&[entry(5, "a", Body::Put(Bytes::from_static(b"{\"v\":99}")))]).len(), 1);
    }

    #[test]
    fn more_than_the_bound_are_refused() {
        let mut members = Members::default();
        let see = |members: &mut Members, n: usize| {
            members.see(&entry(n as u64 + 1, &n.to_string(), record("m", None)))
        };
        (0..MAX_MEMBERS).try_for_each(|n| see(&mut members, n)).expect("as many as allowed");
        see(&mut members, 0).expect("the same again");
        let refused = see(&mut members, MAX_MEMBERS).expect_err("one more");
        assert_eq!(refused, Error::TooMany { what: "members of one group", limit: MAX_MEMBERS });
    }

    #[test]
    fn ids_and_groups_are_told_apart() {
        assert_eq!(key::name_of_member("group.a.b.id"), Some(("a.b", "id")));
        assert_eq!(key::name_of_member("lock.a.b"), None);
        assert!(crate::name::matches(&key::members("a"), &key::member("a", "id")));
        assert!(!crate::name::matches(&key::members("a"), &key::member("a.b", "id")));
    }
}
