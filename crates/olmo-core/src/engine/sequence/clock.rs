//! When what happened to an answer.

use std::time::Instant;

use crate::engine::request::Timings;

pub(super) struct Clock {
    admitted: Instant,
    first_token: Option<Instant>,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { admitted: Instant::now(), first_token: None }
    }

    pub fn note_token(&mut self) {
        self.first_token.get_or_insert_with(Instant::now);
    }

    /// Where the time went of a call made at `since`, whose answer is complete.
    pub fn timings(&self, since: Instant) -> Timings {
        let now = Instant::now();
        let first_token = self.first_token.unwrap_or(now);
        Timings {
            queued: self.admitted - since,
            prefill: first_token - self.admitted,
            decode: now - first_token,
        }
    }
}
