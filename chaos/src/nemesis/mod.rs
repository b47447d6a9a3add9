//! What breaks the cluster and its clients: each nemesis by itself in a file, each undone by what it left.
//!
//! A nemesis chooses its victim when it strikes, among those that no other fault has in its hands, from chance that
//! belongs to this fault alone. One that finds no victim does nothing; one that cannot be had on this machine says why,
//! and that stands in the history ([`What::Untried`](crate::history::What::Untried)).

mod behind;
pub mod bucket;
mod clock;
mod disk;
mod haunt;
mod kill;
mod membership;
mod nearby;
mod net;
mod overdue;
mod partition;
mod pause;
mod power;
mod replace;
mod replicas;
mod reset;
pub mod rolling;
mod step_down;
mod stop;
mod unheard;

use std::time::Duration;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::crew::Member;
use crate::worker::BUCKET;
use support::chance::Chance;

/// What the word of a nemesis ends with that breaks what the library asks of its servers.
pub const BEYOND: &str = "-beyond-promise";

/// All that can be broken.
#[derive(Debug)]
pub struct World {
    /// The servers and the network.
    pub cluster: Cluster,
    /// The workers.
    pub crew: Vec<Member>,
    /// Servers that a fault has in its hands.
    pub busy: Vec<bool>,
    /// Whether a server's clock is wrong.
    pub is_a_clock_wrong: bool,
    /// Whether workers' clocks can jump.
    pub can_fake_clocks: bool,
}

/// Declares the nemeses, each with its word in the history.
macro_rules! nemeses {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Every nemesis.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Nemesis {
            $($(#[$doc])* $name,)*
        }

        impl Nemesis {
            /// Every one.
            pub const ALL: &[Nemesis] = &[$(Nemesis::$name,)*];

            /// Its word in the history.
            pub fn word(self) -> &'static str {
                match self {
                    $(Nemesis::$name => $word,)*
                }
            }
        }
    };
}

nemeses! {
    /// SIGKILL for a server.
    Kill = "kill",
    /// SIGKILL for workers that wait in line, and for servers, which come back with the places that were removed since.
    Haunt = "kill-haunted",
    /// SIGKILL for the server that leads the stream.
    KillLeader = "kill-leader",
    /// SIGKILL for a worker.
    KillWorker = "kill-worker",
    /// SIGKILL for a daemon.
    KillDaemon = "kill-daemon",
    /// SIGTERM for a server.
    Stop = "stop",
    /// SIGTERM for a daemon, which drains.
    StopDaemon = "stop-daemon",
    /// SIGSTOP for a server.
    Pause = "pause",
    /// SIGSTOP for a server, for longer than what was asked of it may be worth anything: it then does all that at once.
    PauseLong = "pause-for-long",
    /// SIGSTOP for the server that leads the stream.
    PauseLeader = "pause-leader",
    /// SIGSTOP for a worker, also past its deadline.
    PauseWorker = "pause-worker",
    /// SIGSTOP for a daemon.
    PauseDaemon = "pause-daemon",
    /// One server is cut off from the other two; clients reach all.
    CutOff = "partition",
    /// The same, for longer than a lease of the default ttl lasts.
    CutOffLong = "partition-for-long",
    /// The server that leads the stream is cut off from the other two; clients reach all.
    CutOffLeader = "partition-leader",
    /// The same, for as long as it takes it to see that it leads nobody.
    CutOffLeaderLong = "partition-leader-for-long",
    /// The same; and of all servers it is the first to hear what clients read, and the last to hear what they write.
    CutOffLeaderNearby = "partition-leader-nearby",
    /// What one server sends does not reach another, but the other way round it does.
    OneWay = "partition-one-way",
    /// Two servers cannot reach each other, and a third reaches both.
    Bridge = "bridge",
    /// One server and half of the workers are cut off from all others.
    Split = "split",
    /// A worker reaches no server.
    CutWorker = "cut-worker",
    /// A worker reaches the servers, but their answers do not reach it.
    Deaf = "deaf-worker",
    /// A worker does not hear that it was granted a lock, and hears again while it still counts.
    Unheard = "unheard-grant",
    /// The same, until its claim is over, but what it was granted is not.
    UnheardLong = "unheard-grant-for-long",
    /// A worker does not hear what came of its release, and all servers are killed: what they knew and had not written down is
    /// forgotten by all of them, and it asks again once others have held what it released.
    ForgottenRelease = "forgotten-release",
    /// Packets are lost everywhere.
    Loss = "loss",
    /// Packets of all servers or of one are late, and some are lost.
    Delay = "delay",
    /// Packets of all servers are late all the time.
    Slow = "slow-network",
    /// What servers agree on reaches one of them late, and what clients send does not.
    Behind = "replica-behind",
    /// What a worker says by the connection that it has is late by longer than a lease lasts; new connections are not.
    Overdue = "overdue-messages",
    /// A server's link has little room, so that packets queue.
    Narrow = "narrow-link",
    /// TCP connections of a server are reset.
    Reset = "reset",
    /// The stream's leader steps down.
    StepDown = "step-down",
    /// The meta leader steps down.
    StepDownMeta = "step-down-meta",
    /// All servers are stopped and started, one after the other.
    Rolling = "rolling-restart",
    /// A server goes into lame duck mode.
    LameDuck = "lame-duck",
    /// A server's disk is full.
    DiskFull = "disk-full",
    /// A server's disk stalls, again and again.
    DiskStall = "disk-stall",
    /// A server loses power: what was not synced is gone.
    Power = "power",
    /// All servers lose power at once.
    PowerAll = "power-all",
    /// A worker's wall clock jumps.
    Clock = "clock",
    /// A server's wall clock is wrong, within what the library allows.
    ServerClock = "server-clock",
    /// A server's wall clock is wrong by far more than that.
    ServerClockFar = "server-clock-beyond-promise",
    /// The bucket is deleted and made again.
    Bucket = "bucket",
    /// The stream goes down to one replica, and up again.
    Membership = "membership",
    /// A fourth server takes the place of one of the three.
    Replace = "replace-peer",
}

impl Nemesis {
    /// For how long it lasts, in milliseconds: from, to. Around what matters: a failover takes 4 to 9 s, and a lease
    /// its ttl.
    pub fn span(self) -> (u64, u64) {
        match self {
            Nemesis::KillWorker | Nemesis::KillDaemon | Nemesis::StopDaemon => (200, 3_000),
            // Mostly longer than a holder may believe, plus what it takes until another is granted.
            Nemesis::PauseWorker | Nemesis::PauseDaemon => (1_000, 12_000),
            Nemesis::CutWorker | Nemesis::Deaf | Nemesis::Split => (5_000, 13_000),
            Nemesis::Behind => (6_000, 12_000),
            // Longer than the first of it takes to arrive.
            Nemesis::Overdue => (18_000, 21_000),
            // Until all faults are over.
            Nemesis::Slow => (600_000, 600_000),
            // Longer than the library waits for an answer; what was lost meanwhile is sent again 3 s after the first of it.
            Nemesis::Unheard => (1_600, 2_800),
            // Just longer than a lease of 4 s is believed; the store keeps its record for 6 s.
            Nemesis::UnheardLong => (3_900, 4_400),
            Nemesis::PauseLong => (14_000, 18_000),
            // The others elect a leader after 4 to 9 s, and the old one steps down after 10 to 20 s.
            Nemesis::CutOffLeaderLong => (11_000, 15_000),
            Nemesis::CutOffLeaderNearby => (14_000, 18_000),
            Nemesis::CutOffLong => (25_000, 35_000),
            Nemesis::ForgottenRelease => (300, 1_500),
            // For as long as two workers are by themselves.
            Nemesis::Haunt => (15_000, 18_000),
            Nemesis::Reset => (100, 600),
            Nemesis::StepDown | Nemesis::StepDownMeta => (100, 200),
            Nemesis::Rolling => (12_000, 18_000),
            Nemesis::LameDuck => (4_000, 8_000),
            Nemesis::Replace => (3_000, 9_000),
            Nemesis::Bucket => (500, 2_000),
            Nemesis::Power | Nemesis::PowerAll => (500, 3_000),
            Nemesis::DiskStall | Nemesis::Loss | Nemesis::Delay | Nemesis::Narrow => (3_000, 9_000),
            _ => (1_000, 11_000),
        }
    }

    /// Whether it needs servers with disks of their own.
    pub fn needs_disks(self) -> bool {
        matches!(self, Nemesis::DiskFull | Nemesis::DiskStall | Nemesis::Power | Nemesis::PowerAll)
    }
}

/// A fault in force.
#[derive(Debug)]
pub struct Begun {
    /// Whom it befell.
    pub target: String,
    /// How it ends.
    pub undo: Undo,
}

/// What a fault left to be undone.
#[derive(Debug)]
pub enum Undo {
    /// Nothing.
    Nothing,
    /// Servers are down.
    Launch(Vec<usize>),
    /// A server's disk has lost power.
    PowerOn(Vec<usize>),
    /// A server stands still.
    Resume(usize),
    /// Workers are dead.
    LaunchWorkers(Vec<usize>),
    /// A daemon is dead.
    LaunchDaemon(usize),
    /// A worker stands still.
    ResumeWorker(usize),
    /// A daemon stands still.
    ResumeDaemon(usize),
    /// Rules of this fault are in force.
    Rules(u64),
    /// A worker hears nothing, by the rules of this fault.
    Hear(u64, usize),
    /// All servers are down, and a worker hears nothing, by the rules of this fault.
    Forgotten(u64, usize),
    /// Packets are late.
    Late(Vec<crate::cluster::late::Late>),
    /// A replica is behind, since packets are late.
    Behind(usize, Vec<crate::cluster::late::Late>),
    /// A leader is cut off by the rules of this fault, and packets are late.
    Nearby(u64, usize, Vec<crate::cluster::late::Late>),
    /// Links have a queue.
    Queues(Vec<String>),
    /// A disk is full.
    Empty(usize),
    /// A disk stalls: the task that makes it, and the disk.
    Unstall(usize, tokio::task::JoinHandle<()>),
    /// A server is in lame duck mode.
    LameDuck(usize),
    /// Servers are restarted in turn; those that are still to come.
    Rolling(rolling::Rolling),
    /// A clock is wrong.
    ClockRight(usize),
    /// A server's clock is wrong.
    ServerClockRight(usize),
    /// There is no bucket.
    MakeBucket,
    /// The stream has one replica.
    Replicas,
    /// A server is being replaced.
    Replace(usize),
}

/// How striking went.
pub type Struck = Result<Option<Begun>, String>;

/// Strikes. `None` where there is no victim at the moment; an error where it cannot be had here.
///
/// # Errors
/// With the reason.
pub async fn begin(nemesis: Nemesis, fault: u64, world: &mut World, chance: &mut Chance) -> Struck {
    match nemesis {
        Nemesis::Kill => kill::server(world, chance, false).await,
        Nemesis::KillLeader => kill::server(world, chance, true).await,
        Nemesis::Haunt => haunt::places(world).await,
        Nemesis::KillWorker => kill::worker(world, chance).await,
        Nemesis::KillDaemon => kill::daemon(world, chance).await,
        Nemesis::Stop => stop::server(world, chance).await,
        Nemesis::StopDaemon => stop::daemon(world, chance).await,
        Nemesis::PauseLong => pause::server_for_long(world, chance).await,
        Nemesis::Pause => pause::server(world, chance, false).await,
        Nemesis::PauseLeader => pause::server(world, chance, true).await,
        Nemesis::PauseWorker => pause::worker(world, chance).await,
        Nemesis::PauseDaemon => pause::daemon(world, chance).await,
        Nemesis::CutOff | Nemesis::CutOffLong => partition::cut_off_any(world, fault, chance).await,
        Nemesis::CutOffLeader | Nemesis::CutOffLeaderLong => partition::cut_off_leader(world, fault).await,
        Nemesis::CutOffLeaderNearby => nearby::leader(world, fault, chance).await,
        Nemesis::OneWay => partition::one_way(world, fault, chance).await,
        Nemesis::Bridge => partition::bridge(world, fault, chance).await,
        Nemesis::Split => partition::split(world, fault, chance).await,
        Nemesis::CutWorker => partition::worker(world, fault, chance, false).await,
        Nemesis::Unheard => unheard::grant(world, fault, false).await,
        Nemesis::UnheardLong => unheard::grant(world, fault, true).await,
        Nemesis::ForgottenRelease => unheard::release(world, fault).await,
        Nemesis::Deaf => partition::worker(world, fault, chance, true).await,
        Nemesis::Loss => net::loss(world, fault, chance).await,
        Nemesis::Delay => net::delay(world, fault, chance).await,
        Nemesis::Slow => net::slow(world, fault, chance).await,
        Nemesis::Overdue => overdue::connection(world, fault, chance).await,
        Nemesis::Behind => behind::replica(world, fault, chance).await,
        Nemesis::Narrow => net::narrow(world, fault, chance).await,
        Nemesis::Reset => reset::reset(world, fault, chance).await,
        Nemesis::StepDown => step_down::stream(world).await,
        Nemesis::StepDownMeta => step_down::meta(world).await,
        Nemesis::Rolling => rolling::begin(world).await,
        Nemesis::LameDuck => rolling::lame_duck(world, chance),
        Nemesis::DiskFull => disk::full(world, chance).await,
        Nemesis::DiskStall => disk::stall(world, chance),
        Nemesis::Power => power::fail(world, chance, false).await,
        Nemesis::PowerAll => power::fail(world, chance, true).await,
        Nemesis::Clock => clock::jump(world, chance),
        Nemesis::ServerClock => clock::server(world, chance, false).await,
        Nemesis::ServerClockFar => clock::server(world, chance, true).await,
        Nemesis::Bucket => bucket::delete(world).await,
        Nemesis::Membership => membership::shrink(world).await,
        Nemesis::Replace => replace::begin(world, chance).await,
    }
}

/// Undoes a fault.
///
/// # Errors
/// With what could not be undone, and how to try it again once other faults are over, where that may help. Without that,
/// the run is worth nothing.
pub async fn end(undo: Undo, world: &mut World) -> Result<(), (Option<Undo>, String)> {
    let done = match undo {
        Undo::MakeBucket => return bucket::make(world).await.map_err(|why| (Some(Undo::MakeBucket), why)),
        Undo::Replicas => return membership::grow(world).await.map_err(|why| (Some(Undo::Replicas), why)),
        Undo::Replace(old) => {
            return replace::finish(world, old).await.map_err(|why| (Some(Undo::Replace(old)), why));
        }
        Undo::Nothing => Ok(()),
        Undo::Launch(servers) => kill::launch(world, &servers),
        Undo::PowerOn(servers) => power::on(world, &servers).await,
        Undo::Resume(server) => pause::resume(world, server),
        Undo::LaunchWorkers(members) => kill::launch_workers(world, members).await,
        Undo::LaunchDaemon(member) => kill::launch_daemon(world, member),
        Undo::ResumeWorker(member) => pause::resume_worker(world, member).await,
        Undo::ResumeDaemon(member) => pause::resume_daemon(world, member).await,
        Undo::Rules(fault) => world.cluster.network.end(fault).await,
        Undo::Hear(fault, member) => unheard::hear(world, fault, member).await,
        Undo::Forgotten(fault, member) => unheard::forgotten(world, fault, member).await,
        Undo::Late(late) => {
            net::on_time(late).await;
            Ok(())
        }
        Undo::Behind(server, late) => {
            behind::catch_up(world, server, late).await;
            Ok(())
        }
        Undo::Nearby(fault, leader, late) => nearby::end(world, fault, leader, late).await,
        Undo::Queues(hosts) => net::unqueue(&hosts).await,
        Undo::Empty(server) => disk::empty(world, server).await,
        Undo::Unstall(server, task) => disk::unstall(world, server, task).await,
        Undo::LameDuck(server) => rolling::after_lame_duck(world, server).await,
        Undo::Rolling(rolling) => rolling.finish(world).await,
        Undo::ServerClockRight(server) => clock::server_right(world, server).await,
        Undo::ClockRight(member) => clock::right(world, member),
    };
    done.map_err(|why| (None, why))
}

impl World {
    /// A server that no fault has in its hands: the stream's leader, or any. None if the leader is not to be found.
    async fn server(&self, chance: &mut Chance, is_leader: bool) -> Option<usize> {
        if is_leader {
            let leader = self.cluster.stream_leader(&format!("KV_{BUCKET}")).await?;
            return (!self.busy[leader]).then_some(leader);
        }
        let free: Vec<usize> = (0..self.busy.len()).filter(|index| !self.busy[*index]).collect();
        chance.choose(&free).copied()
    }

    /// A member whose worker no fault has in its hands.
    fn member(&self, chance: &mut Chance) -> Option<usize> {
        let free: Vec<usize> = (0..self.crew.len()).filter(|index| !self.crew[*index].is_busy).collect();
        chance.choose(&free).copied()
    }

    /// A member whose daemon no fault has in its hands.
    fn member_with_daemon(&self, chance: &mut Chance) -> Option<usize> {
        let is_free = |index: &usize| self.crew[*index].has_daemon() && !self.crew[*index].is_daemon_busy;
        let free: Vec<usize> = (0..self.crew.len()).filter(is_free).collect();
        chance.choose(&free).copied()
    }

    fn name(&self, server: usize) -> String {
        self.cluster.servers[server].name.clone()
    }

    /// One request, at the first server that answers. `sys` asks as the system account.
    async fn ask(&self, subject: &str, payload: &str, sys: bool) -> Option<Value> {
        for server in self.cluster.all() {
            let asked = async {
                let options = async_nats::ConnectOptions::new().connection_timeout(Duration::from_secs(1));
                let options =
                    if sys { options.user_and_password("sys".into(), "sys".into()) } else { options };
                let client = options.connect(server.url()).await.ok()?;
                let answer = client.request(subject.to_owned(), payload.to_owned().into()).await.ok()?;
                serde_json::from_slice(&answer.payload).ok()
            };
            if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_secs(3), asked).await {
                return Some(answer);
            }
        }
        None
    }
}
