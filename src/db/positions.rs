//! How far callers' own changes are in the write-ahead log, as far as this server has made them. A standby answers a caller once it has replayed so far.
//!
//! Callers whose names have the same hash share an entry, which may then ask for more than they need, and never for less. So the memory is bounded, and nothing is
//! ever forgotten that a caller needs.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::wal::WalPosition;

/// How many entries there are.
const ENTRIES: usize = 16_384;
/// How long the primary alone answers a caller one of whose changes may or may not have been made: by then it is decided, and replayed.
const UNDECIDED: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Entry {
    position: AtomicU64,
    /// How many changes are being committed.
    under_way: AtomicU32,
    /// Until when the primary alone answers, in milliseconds since the beginning.
    primary_until: AtomicU64,
}

/// The positions of all callers.
pub struct Positions {
    entries: Box<[Entry]>,
    hasher: RandomState,
    began: Instant,
}

impl Default for Positions {
    fn default() -> Self {
        Self { entries: (0..ENTRIES).map(|_| Entry::default()).collect(), hasher: RandomState::new(), began: Instant::now() }
    }
}

impl Positions {
    /// Of the caller that an issuer knows by this subject.
    pub fn of(self: &Arc<Self>, issuer: &str, subject: &str) -> CallerPosition {
        let hash = self.hasher.hash_one((issuer, subject)) % ENTRIES as u64;
        CallerPosition { positions: Arc::clone(self), entry: usize::try_from(hash).unwrap_or_default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One caller's position.
pub struct CallerPosition {
    positions: Arc<Positions>,
    entry: usize,
}

impl CallerPosition {
    fn entry(&self) -> &Entry {
        &self.positions.entries[self.entry]
    }

    /// How far a database must be to answer the caller; [`WalPosition::UNKNOWN`] where only the primary may.
    pub fn required(&self) -> WalPosition {
        let entry = self.entry();
        if entry.under_way.load(Ordering::Acquire) > 0 || entry.primary_until.load(Ordering::Acquire) > self.positions.now() {
            return WalPosition::UNKNOWN;
        }
        WalPosition(entry.position.load(Ordering::Acquire))
    }

    /// Notes the position of a change that the caller has committed, or has received by a subscription.
    pub fn raise(&self, position: WalPosition) {
        self.entry().position.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Notes that a change of the caller's is about to be committed.
    pub fn begin_commit(&self) -> Committing<'_> {
        self.entry().under_way.fetch_add(1, Ordering::AcqRel);
        Committing { caller: self, is_decided: false }
    }
}

/// A change that is being committed. Where it is dropped before its outcome is known, the primary alone answers the caller for a while.
pub struct Committing<'c> {
    caller: &'c CallerPosition,
    is_decided: bool,
}

impl Committing<'_> {
    /// It was made, and is there by that position.
    pub fn done(mut self, position: WalPosition) {
        self.caller.raise(position);
        self.is_decided = true;
    }

    /// It was not made.
    pub fn undone(mut self) {
        self.is_decided = true;
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        let entry = self.caller.entry();
        if !self.is_decided {
            let until = self.caller.positions.now() + u64::try_from(UNDECIDED.as_millis()).unwrap_or_default();
            entry.primary_until.fetch_max(until, Ordering::AcqRel);
        }
        entry.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.example.com";

    /// A caller's position is never forgotten for an earlier one, however many callers there are.
    #[test]
    fn callers_are_remembered() {
        let positions = Arc::new(Positions::default());
        let caller = || positions.of(ISSUER, "user_1");
        assert_eq!(caller().required(), WalPosition(0));
        caller().raise(WalPosition(30));
        caller().raise(WalPosition(20));
        for n in 0..100_000 {
            positions.of(ISSUER, &format!("other_{n}")).raise(WalPosition(10));
        }
        assert_eq!(caller().required(), WalPosition(30));
    }

    /// While a change is being committed the primary alone answers; then whichever database has it; and where nobody knows whether it was made, the primary for a
    /// while.
    #[test]
    fn changes_that_are_being_committed() {
        let positions = Arc::new(Positions::default());
        let caller = positions.of(ISSUER, "user_1");
        let (first, second) = (caller.begin_commit(), caller.begin_commit());
        assert_eq!(caller.required(), WalPosition::UNKNOWN);
        first.done(WalPosition(10));
        assert_eq!(caller.required(), WalPosition::UNKNOWN, "of the second nothing is known");
        second.undone();
        assert_eq!(caller.required(), WalPosition(10));
        drop(caller.begin_commit());
        assert_eq!(caller.required(), WalPosition::UNKNOWN);
    }
}
