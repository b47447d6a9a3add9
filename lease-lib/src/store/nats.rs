//! Stub.
use crate::ambient::SharedAmbient; use crate::error::Error; use std::time::Duration;
use super::*;
/// x
#[derive(Clone,Debug,Default)] pub struct NatsOptions { /// b
 pub bucket: String, /// s
 pub slack: Duration }
/// x
#[derive(Debug)] pub struct NatsStore(std::sync::Arc<MemoryStore>);
impl NatsStore { /// o
 pub async fn open(_:&str,_:NatsOptions,a:SharedAmbient)->Result<NatsStore,Error>{ Ok(NatsStore(MemoryStore::new(a))) } }
impl Store for NatsStore {
 fn write<'a>(&'a self, w: &'a Write) -> Reply<'a, Result<Ack, WriteError>>{self.0.write(w)}
 fn read<'a>(&'a self, w: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>>{self.0.read(w)}
 fn read_revision(&self, w: u64) -> Reply<'_, Result<Option<Entry>, Unreadable>>{self.0.read_revision(w)}
 fn last<'a>(&'a self, w: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>>{self.0.last(w)}
 fn scan<'a>(&'a self, w: &'a str, f:u64) -> Reply<'a, Result<Page, Unreadable>>{self.0.scan(w,f)}
 fn follow<'a>(&'a self, w: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>>{self.0.follow(w)}
 fn inbox<'a>(&'a self, w: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>>{self.0.inbox(w)}
 fn tell<'a>(&'a self, w: &'a str, n:Bytes) -> Reply<'a, ()>{self.0.tell(w,n)}
 fn life(&self) -> Reply<'_, Result<Life, Unreadable>>{self.0.life()}
 fn cover_ttl(&self,t:u64) -> Reply<'_, Result<(), Unreadable>>{self.0.cover_ttl(t)}
 fn connected(&self)->bool{true}
 fn probe(&self) -> Reply<'_, Result<(), Error>>{self.0.probe()}
}
