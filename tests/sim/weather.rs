//! The faults that last: who cannot reach the store just now, and who reads what is old.

use std::time::Duration;

use tokio::sync::watch;

use support::chance::Chance;

/// How the store is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Requests and answers vanish.
    Silent,
    /// Requests are refused at once: there is no leader.
    Refusing,
    /// Requests arrive, answers vanish.
    Deaf,
}

#[derive(Clone, Debug)]
struct Spell<T> {
    /// A process by its index, or all.
    who: Option<usize>,
    until: Duration,
    what: T,
}

/// What lasts at present.
pub struct Weather {
    reach: Vec<Spell<Reach>>,
    /// Reads are answered as of then.
    stale: Vec<Spell<Duration>>,
    hush: Vec<Spell<()>>,
    /// Changed when everything a process follows is to break off.
    cuts: Vec<watch::Sender<()>>,
}

fn newest<T>(spells: &[Spell<T>], who: usize, at: Duration) -> Option<&Spell<T>> {
    spells.iter().rev().find(|spell| spell.until > at && spell.who.is_none_or(|it| it == who))
}

fn now<T: Copy>(spells: &[Spell<T>], who: usize, at: Duration) -> Option<T> {
    newest(spells, who, at).map(|spell| spell.what)
}

impl Weather {
    pub fn new(processes: usize) -> Weather {
        let cuts = (0..processes).map(|_| watch::Sender::new(())).collect();
        Weather { reach: Vec::new(), stale: Vec::new(), hush: Vec::new(), cuts }
    }

    pub fn outage(&mut self, who: Option<usize>, until: Duration, what: Reach) {
        self.reach.push(Spell { who, until, what });
    }

    pub fn left_behind(&mut self, who: usize, until: Duration, as_of: Duration) {
        self.stale.push(Spell { who: Some(who), until, what: as_of });
    }

    pub fn hush(&mut self, who: usize, until: Duration) {
        self.hush.push(Spell { who: Some(who), until, what: () });
    }

    pub fn cut(&mut self, who: usize) {
        self.cuts[who].send_replace(());
    }

    /// How the store is out of reach for this process; `None` if it is not.
    pub fn reach(&self, who: usize, at: Duration) -> Option<Reach> {
        now(&self.reach, who, at)
    }

    /// Since when the server that this process reads from is left behind.
    pub fn stale(&self, who: usize, at: Duration) -> Option<Duration> {
        now(&self.stale, who, at)
    }

    /// Until when that server is.
    pub fn stale_until(&self, who: usize, at: Duration) -> Option<Duration> {
        newest(&self.stale, who, at).map(|spell| spell.until)
    }

    /// Whether notes and events do not get through to or from this process.
    pub fn hushed(&self, who: usize, at: Duration) -> bool {
        now(&self.hush, who, at).is_some()
            || matches!(now(&self.reach, who, at), Some(Reach::Silent | Reach::Deaf))
    }

    /// Changes when everything a process follows has to break off.
    pub fn cuts(&self, who: usize) -> watch::Receiver<()> {
        self.cuts[who].subscribe()
    }
}

impl Reach {
    pub fn draw(chance: &mut Chance) -> Reach {
        chance.pick(&[Reach::Silent, Reach::Silent, Reach::Refusing, Reach::Deaf])
    }
}
