//! Whose turn it is to publish, where several servers have one database.
//!
//! Every server can, and one does: who published last goes on, and the others leave it to that one. A change that waits and is not published in
//! a moment is published by another, which then goes on. So nothing is agreed on, nothing is lost by a server that is killed, and what
//! publishing costs does not grow with the servers.

use std::time::{Duration, Instant};

use crate::models::event;

/// How often to look without a notification: the server that publishes, for changes that were committed while others were published; and servers that receive none.
const LOOK: Duration = Duration::from_millis(250);
/// How often the others look.
const LOOK_OF_OTHERS: Duration = Duration::from_secs(2);
/// After how long another server publishes a change that waits.
const TAKE_OVER_AFTER: Duration = Duration::from_millis(100);
/// How often changes are found that no notification has announced until none are expected: it may have been on its way.
const SURPRISES: u8 = 3;

/// This server's view of which server publishes.
#[derive(Debug)]
pub(super) struct Turns {
    /// Whether this server publishes.
    publishes: bool,
    /// Whether the last look was announced.
    is_announced: bool,
    /// How many looks in a row have found changes that were not announced. Through some poolers notifications do not come, or by chance.
    surprises: u8,
    /// Since when changes wait, as far as is heard.
    waiting_since: Option<Instant>,
    /// When this server last published, or tried to.
    published_at: Instant,
}

impl Turns {
    /// Of a server that knows of no other.
    pub fn new(now: Instant) -> Self {
        Self { publishes: true, is_announced: false, surprises: 0, waiting_since: None, published_at: now }
    }

    /// How long to wait for the next notification.
    pub fn pause(&self, now: Instant) -> Duration {
        match self.waiting_since {
            _ if self.publishes => LOOK,
            Some(since) => TAKE_OVER_AFTER.saturating_sub(now - since),
            None if self.surprises < SURPRISES => LOOK_OF_OTHERS,
            None => LOOK,
        }
    }

    /// Notes a notification.
    pub fn hear(&mut self, channel: &str, now: Instant) {
        if channel == event::WAITING {
            self.waiting_since.get_or_insert(now);
        } else {
            (self.is_announced, self.waiting_since) = (true, None);
        }
    }

    /// Whether the notifications leave it to another server to do something.
    pub fn are_others_to_act(&self) -> bool {
        !self.publishes && self.waiting_since.is_some()
    }

    /// Whether to publish now.
    pub fn is_due(&self, now: Instant) -> bool {
        let is_left = self.waiting_since.is_some_and(|since| now - since >= TAKE_OVER_AFTER);
        self.publishes || is_left || now - self.published_at >= LOOK_OF_OTHERS
    }

    /// Notes that it was tried to publish.
    pub fn note_attempt(&mut self, now: Instant) {
        self.published_at = now;
        self.waiting_since = None;
    }

    /// Notes how many events this server has published, of how many that are new to it.
    pub fn note(&mut self, published: usize, new: usize) {
        if new > 0 {
            if self.is_announced || published > 0 {
                // Once none are expected, it stays so: now and then one comes by chance.
                self.surprises = if self.surprises < SURPRISES { 0 } else { SURPRISES };
            } else {
                self.surprises = (self.surprises + 1).min(SURPRISES);
            }
            // Where several publish at once, chance decides who goes on.
            self.publishes = published == new || published > 0 && fastrand::bool();
        }
        self.is_announced = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is alone publishes at once, and goes on.
    #[test]
    fn alone() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        for _ in 0..3 {
            turns.hear(event::WAITING, now);
            assert!(turns.is_due(now) && !turns.are_others_to_act());
            turns.note_attempt(now);
            turns.note(5, 5);
            turns.hear(event::PUBLISHED, now);
            assert_eq!(turns.pause(now), LOOK);
        }
    }

    /// A server that is given what it has not published leaves it to the other, looks seldom, and takes over where a change stays.
    #[test]
    fn of_two() {
        let begun = Instant::now();
        let mut turns = Turns::new(begun);
        turns.hear(event::PUBLISHED, begun);
        turns.note(0, 3);
        assert_eq!((turns.is_due(begun), turns.pause(begun)), (false, LOOK_OF_OTHERS));
        turns.hear(event::WAITING, begun);
        let now = begun + TAKE_OVER_AFTER / 2;
        // A second change does not begin the wait anew.
        turns.hear(event::WAITING, now);
        assert!(turns.are_others_to_act() && !turns.is_due(now));
        assert_eq!(turns.pause(now), TAKE_OVER_AFTER / 2);
        turns.hear(event::PUBLISHED, now);
        assert!(!turns.are_others_to_act() && !turns.is_due(now), "the other has published it");
        turns.hear(event::WAITING, now);
        let now = now + TAKE_OVER_AFTER;
        assert!(turns.is_due(now), "the other has not");
        turns.note_attempt(now);
        turns.note(1, 1);
        assert_eq!(turns.pause(now), LOOK, "this one goes on");
    }

    /// Where changes are found that were not announced, they are looked for as often as ever, and published now and then.
    #[test]
    fn deaf() {
        let begun = Instant::now();
        let mut turns = Turns::new(begun);
        for _ in 0..SURPRISES {
            assert_ne!((turns.publishes, turns.pause(begun)), (false, LOOK));
            turns.note(0, 1);
        }
        assert_eq!((turns.is_due(begun), turns.pause(begun)), (false, LOOK));
        turns.hear(event::PUBLISHED, begun);
        turns.note(0, 1);
        assert_eq!(turns.pause(begun), LOOK, "one came by chance");
        assert!(turns.is_due(begun + LOOK_OF_OTHERS));
    }

    /// One notification that comes later than what it announces is no reason to look more often.
    #[test]
    fn a_late_notification() {
        let begun = Instant::now();
        let mut turns = Turns::new(begun);
        for _ in 0..10 {
            turns.note(0, 1);
            turns.hear(event::PUBLISHED, begun);
            turns.note(0, 1);
            assert_eq!(turns.pause(begun), LOOK_OF_OTHERS);
        }
    }
}
