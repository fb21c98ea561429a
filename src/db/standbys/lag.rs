//! How far standbys may be behind their primary, by what was seen of the primary.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::db::wal::WalPosition;

/// Where the primary was, and when.
#[derive(Debug)]
pub(super) struct Progress {
    most: Duration,
    /// The oldest first. One of them may be older than `most`: the newest such.
    seen: VecDeque<(Instant, WalPosition)>,
}

impl Progress {
    /// Of a primary whose standbys may be behind by `most`.
    pub fn new(most: Duration) -> Self {
        Self { most, seen: VecDeque::new() }
    }

    /// Notes where the primary is.
    pub fn note(&mut self, now: Instant, position: WalPosition) {
        // Another has taken over, with less than all of it.
        if self.newest().is_some_and(|newest| position < newest) {
            self.seen.clear();
        }
        self.seen.push_back((now, position));
        while self.seen.get(1).is_some_and(|(at, _)| now - *at >= self.most) {
            self.seen.pop_front();
        }
    }

    /// Where the primary was last.
    pub fn newest(&self) -> Option<WalPosition> {
        self.seen.back().map(|(_, position)| *position)
    }

    /// What a standby has replayed that is not too far behind, as of when the primary was seen last; `None` while nothing is known of the primary.
    pub fn required(&self) -> Option<WalPosition> {
        let (last, _) = self.seen.back()?;
        let old = self.seen.iter().take_while(|(at, _)| *last - *at >= self.most).last();
        old.or_else(|| self.seen.front()).map(|(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A standby must have what the primary had when the time began that it may be behind by.
    #[test]
    fn what_is_required() {
        let (begun, mut progress) = (Instant::now(), Progress::new(2 * SECOND));
        assert_eq!(progress.required(), None, "nothing is known");
        for second in 0..10 {
            progress.note(begun + second * SECOND, WalPosition(u64::from(second) * 100));
        }
        assert_eq!((progress.required(), progress.newest()), (Some(WalPosition(700)), Some(WalPosition(900))));
        assert!(progress.seen.len() <= 3, "{progress:?}");
    }

    /// Before that time has passed, it must have what was seen first.
    #[test]
    fn the_beginning() {
        let (begun, mut progress) = (Instant::now(), Progress::new(5 * SECOND));
        progress.note(begun, WalPosition(100));
        progress.note(begun + SECOND, WalPosition(200));
        assert_eq!(progress.required(), Some(WalPosition(100)));
    }

    /// After a failover to a standby that lagged, nothing is required that the new primary does not have.
    #[test]
    fn going_back() {
        let (begun, mut progress) = (Instant::now(), Progress::new(SECOND));
        progress.note(begun, WalPosition(900));
        progress.note(begun + 5 * SECOND, WalPosition(300));
        assert_eq!(progress.required(), Some(WalPosition(300)));
    }
}
