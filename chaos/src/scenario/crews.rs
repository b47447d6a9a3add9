//! Who works in a scenario.

use crate::worker::Via::{self, Library, Socket};
use crate::worker::Workload;

/// The mutex, through both doors.
pub(super) const MUTEX: &[(Via, Workload)] = &[
    (Library, Workload::Lock),
    (Library, Workload::Lock),
    (Library, Workload::Lock),
    (Socket, Workload::Lock),
    (Socket, Workload::Lock),
    (Library, Workload::Multi),
];

/// Every kind, each through both doors.
pub(super) const KINDS: &[(Via, Workload)] = &[
    (Library, Workload::Lock),
    (Socket, Workload::Lock),
    (Library, Workload::Multi),
    (Socket, Workload::Multi),
    (Library, Workload::Rwlock),
    (Socket, Workload::Rwlock),
    (Library, Workload::Semaphore),
    (Socket, Workload::Semaphore),
    (Library, Workload::Election),
    (Socket, Workload::Election),
    (Library, Workload::Guarded),
    (Socket, Workload::Guarded),
    (Library, Workload::Group),
    (Socket, Workload::Group),
    (Library, Workload::Observer),
];

/// One lock that is read and written for moments.
pub(super) const READERS: &[(Via, Workload)] = &[
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Socket, Workload::BriefRwlock),
];

/// The same, of whom half read and write for longer.
pub(super) const READERS_LONG_AND_SHORT: &[(Via, Workload)] = &[
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Library, Workload::Rwlock),
    (Library, Workload::Rwlock),
    (Library, Workload::Rwlock),
];

/// The mutex, where everybody waits for a turn.
pub(super) const PATIENT: &[(Via, Workload)] = &[
    (Library, Workload::Patient),
    (Library, Workload::Patient),
    (Library, Workload::Patient),
    (Socket, Workload::Patient),
    (Socket, Workload::Patient),
    (Library, Workload::Patient),
];

/// One lock that each takes again and again.
pub(super) const GREEDY: &[(Via, Workload)] = &[(Library, Workload::Greedy); 6];

/// Every kind, held for moments or for longer.
pub(super) const AT_EVERY_PACE: &[(Via, Workload)] = &[
    (Library, Workload::Lock),
    (Library, Workload::Brief),
    (Library, Workload::Brief),
    (Socket, Workload::Brief),
    (Library, Workload::Greedy),
    (Library, Workload::Greedy),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Socket, Workload::Rwlock),
    (Library, Workload::Semaphore),
    (Library, Workload::Multi),
    (Library, Workload::Election),
    (Library, Workload::Guarded),
    (Library, Workload::Group),
    (Library, Workload::Observer),
];

/// What is new in the bucket each time, and what is written again at once.
pub(super) const MIXED: &[(Via, Workload)] = &[
    (Library, Workload::Group),
    (Socket, Workload::Group),
    (Library, Workload::BriefRwlock),
    (Library, Workload::BriefRwlock),
    (Socket, Workload::BriefRwlock),
    (Library, Workload::Guarded),
    (Socket, Workload::Guarded),
    (Library, Workload::Fresh),
    (Library, Workload::Brief),
    (Socket, Workload::Brief),
    (Library, Workload::Breaker),
];

/// Each a lock that nobody else wants, which is broken by force as soon as it is held for longer than a moment.
pub(super) const SEIZED: &[(Via, Workload)] = &[
    (Library, Workload::Own),
    (Library, Workload::Own),
    (Library, Workload::Own),
    (Library, Workload::Own),
    (Library, Workload::Own),
    (Library, Workload::Own),
    (Library, Workload::Marker),
    (Library, Workload::Marker),
    (Library, Workload::Marker),
];

/// Each a lock that nobody had before.
pub(super) const FRESH: &[(Via, Workload)] = &[(Library, Workload::Fresh); 6];

/// The mutex, in processes of which each is one that can die.
pub(super) const MORTALS: &[(Via, Workload)] = &[(Library, Workload::Lock); 8];
