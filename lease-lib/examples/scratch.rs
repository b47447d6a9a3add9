//! scratch
#![allow(clippy::all, clippy::disallowed_methods, clippy::unwrap_used)]
use std::sync::{Arc,Mutex}; use std::time::{Duration,Instant}; use lease::*;
#[derive(Debug,Default)] struct O(Mutex<Vec<Duration>>, Mutex<std::collections::BTreeMap<String,usize>>);
impl Observer for O { fn observe(&self,o:&Observation){ match o { Observation::HandedOver{took}=>self.0.lock().unwrap().push(*took), Observation::Asked{op,outcome,..}=>*self.1.lock().unwrap().entry(format!("{op} {outcome}")).or_default()+=1, _=>{} } } }
#[tokio::main(flavor="multi_thread", worker_threads=2)]
async fn main(){
  let url=std::env::args().nth(1); let n:usize=std::env::args().nth(2).map_or(8,|s|s.parse().unwrap()); let spaces:usize=std::env::args().nth(3).map_or(1,|s|s.parse().unwrap());
  let o=Arc::new(O::default());
  let mut sp=vec![];
  for _ in 0..spaces { let opt=SpaceOptions{observer:o.clone(),..Default::default()};
   sp.push(match &url { Some(u) if u!="-" => Space::connect(u,opt).await.unwrap(), _=> if let Some(s)=sp.first() {Space::clone(s)} else {let st=store::MemoryStore::new(opt.ambient.clone()); Space::on(st,opt).await.unwrap()} }); }
  // uncontended
  { let l=sp[0].lock("solo"); let t=Instant::now(); for _ in 0..2000 { l.acquire().await.unwrap().release().await.unwrap(); } println!("solo cycles/s {:.0}",2000.0/t.elapsed().as_secs_f64()); }
  *o.1.lock().unwrap()=Default::default();
  let t=Instant::now(); let rounds=2000/n;
  let mut hs=vec![]; for i in 0..n { let l=sp[i%spaces].lock("hot"); hs.push(tokio::spawn(async move { for _ in 0..rounds { l.acquire().await.unwrap().release().await.unwrap(); } })); }
  for h in hs { h.await.unwrap(); }
  let total=(rounds*n) as f64;
  println!("hot handovers/s {:.0}", total/t.elapsed().as_secs_f64());
  let mut v=o.0.lock().unwrap().clone(); v.sort(); if !v.is_empty(){ println!("handover n={} p50 {:?} p90 {:?} p99 {:?} max {:?}",v.len(),v[v.len()/2],v[v.len()*9/10],v[v.len()*99/100],v[v.len()-1]); }
  for (k,c) in o.1.lock().unwrap().iter(){ println!("{k}: {:.2}/cycle", *c as f64/total); }
}
