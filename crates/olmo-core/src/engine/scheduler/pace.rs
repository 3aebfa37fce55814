//! How many rows of prompts go beside answers, so that no reader of an answer waits long for its next token.
//!
//! ```text
//! bound = 2 × seconds of a pass of answers alone
//! after a pass of answers and `rows` rows of prompts:
//!     rows ×= bound / its seconds
//! ```
//!
//! A pass takes a time that all have in common, to read the weights, and then some for every row: as
//! `c + b × rows`, the rule comes to the rows that fill the bound from either side, and steps over by less than a row.
//! Time decides here, so how a prompt is cut differs from run to run; no result depends on that.
//!
//! Source: prompts in chunks with a bound on the time between tokens is Sarathi-Serve (Agrawal et al. 2024).

/// How often the seconds of answers alone go into a pass with prompts: less than the three that nobody has to
/// wait, for what a clock does not tell beforehand.
const STRETCH: f64 = 2.0;
/// Passes with prompts after which answers alone are measured again: they take longer as texts grow.
const MIXED_PASSES: usize = 32;
/// Rows of prompts that a pass has at least, so that they go on; and before more is known.
const LEAST_ROWS: f64 = 4.0;
/// By how much the rows change from one pass to the next at most; one slow pass says little.
const MOST_CHANGE: f64 = 2.0;
/// A clock may be too coarse for a pass.
const LEAST_SECONDS: f64 = 1e-9;

pub(super) struct Pace {
    /// Seconds of the last passes of answers alone. The one in the middle counts: one may have been
    /// interrupted.
    steps: [f64; 3],
    /// How many of them there are.
    measured: usize,
    /// Answers in those passes.
    answers: usize,
    /// Passes with prompts since.
    mixed: usize,
    rows: f64,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { steps: [0.0; 3], measured: 0, answers: 0, mixed: 0, rows: LEAST_ROWS }
    }

    /// Rows of prompts that the next pass may have beside so many answers; None if nobody waits for a token.
    /// Now and then none, so that answers alone are measured.
    pub fn prompt_rows(&self, answers: usize) -> Option<usize> {
        match answers {
            0 => None,
            _ if self.is_due(answers) => Some(0),
            _ => Some(self.rows as usize),
        }
    }

    /// Takes note of a pass.
    pub fn note(&mut self, answers: usize, prompt_rows: usize, seconds: f64) {
        let seconds = seconds.max(LEAST_SECONDS);
        match (answers, prompt_rows) {
            (0, _) => {}
            (_, 0) => self.note_step(answers, seconds),
            _ => self.note_mixed(prompt_rows as f64, seconds),
        }
    }

    fn is_due(&self, answers: usize) -> bool {
        self.measured == 0 || self.mixed >= MIXED_PASSES || !self.is_like(answers)
    }

    /// Whether what was measured holds for so many answers.
    fn is_like(&self, answers: usize) -> bool {
        answers < 2 * self.answers && self.answers < 2 * answers
    }

    fn note_step(&mut self, answers: usize, seconds: f64) {
        if !self.is_like(answers) {
            self.measured = 0;
        }
        self.steps.rotate_right(1);
        self.steps[0] = seconds;
        self.measured = (self.measured + 1).min(self.steps.len());
        self.answers = answers;
        self.mixed = 0;
    }

    fn note_mixed(&mut self, rows: f64, seconds: f64) {
        self.mixed += 1;
        let bound = STRETCH * self.step();
        let is_full = rows >= self.rows.floor();
        // A prompt's short end says nothing of how many rows there could have been.
        if self.measured > 0 && (seconds > bound || is_full) {
            let change = (bound / seconds).clamp(1.0 / MOST_CHANGE, MOST_CHANGE);
            // With its fraction, which adds up to another row where there is room for one.
            let rows = if is_full { self.rows } else { rows };
            self.rows = (rows * change).max(LEAST_ROWS);
        }
    }

    /// Seconds of a pass of answers alone.
    fn step(&self) -> f64 {
        let mut known = self.steps;
        let known = &mut known[..self.measured];
        known.sort_by(f64::total_cmp);
        // Of two the shorter: nothing makes a pass faster than it is.
        known.get(known.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes of `answers` answers whose prompts never end, on a machine where a pass takes `seconds(rows)`.
    /// Gives the rows of each.
    fn rows(
        pace: &mut Pace,
        answers: usize,
        passes: usize,
        seconds: impl Fn(usize) -> f64,
    ) -> Vec<usize> {
        let pass = |_| {
            let rows = pace.prompt_rows(answers).expect("a bound beside answers");
            pace.note(answers, rows, seconds(rows));
            rows
        };
        (0..passes).map(pass).collect()
    }

    #[test]
    fn nobody_waits_where_nobody_reads_an_answer() {
        assert_eq!(Pace::new().prompt_rows(0), None);
    }

    #[test]
    fn rows_fill_the_bound_and_never_step_over() {
        let linear = |rows: usize| 0.040 + 0.004 * rows as f64;
        let flat_first = |rows: usize| (0.004 * (rows + 1) as f64).max(0.040);
        for (seconds, best) in [(&linear as &dyn Fn(usize) -> f64, 10), (&flat_first, 19)] {
            let rows = rows(&mut Pace::new(), 1, 200, seconds);
            assert_eq!(rows[0], 0, "answers alone come first");
            let over = rows[2..].iter().find(|&&rows| seconds(rows) > 0.080 + 1e-9);
            assert_eq!(over, None, "{rows:?}");
            let least = rows[20..].iter().filter(|&&rows| rows > 0).min();
            assert!(least >= Some(&(best - 1)), "{rows:?}");
            let alone = rows.iter().filter(|&&rows| rows == 0).count();
            assert_eq!(alone, 200_usize.div_ceil(MIXED_PASSES + 1), "measured again now and then");
        }
    }

    #[test]
    fn one_slow_pass_changes_little() {
        let mut pace = Pace::new();
        let seconds = |rows: usize| 0.040 + 0.004 * rows as f64;
        let before = rows(&mut pace, 1, 90, seconds)[89];
        pace.note(1, before, 5.0);
        let after = rows(&mut pace, 1, 8, seconds);
        assert!(after[0] >= before / 2 && after[7] >= before - 1, "{before}, then {after:?}");
        // Two of three passes of answers alone were as ever.
        rows(&mut pace, 1, 3 * (MIXED_PASSES + 1), seconds);
        pace.note(1, 0, 5.0);
        let over = rows(&mut pace, 1, 30, seconds).into_iter().find(|&rows| seconds(rows) > 0.081);
        assert_eq!(over, None);
    }

    #[test]
    fn prompts_go_on_where_a_row_takes_longer_than_all_answers() {
        let rows = rows(&mut Pace::new(), 1, 90, |rows| 0.001 + 0.1 * rows as f64);
        assert_eq!(rows[89], LEAST_ROWS as usize);
    }

    #[test]
    fn twice_as_many_answers_are_measured_anew() {
        let mut pace = Pace::new();
        let of = |answers: usize| move |rows: usize| 0.010 * answers as f64 + 0.004 * rows as f64;
        rows(&mut pace, 4, 100, of(4));
        assert_ne!(pace.prompt_rows(7), Some(0));
        for answers in [8, 2] {
            assert_eq!(pace.prompt_rows(answers), Some(0));
            let last = rows(&mut pace, answers, 30, of(answers))[29];
            let best = (STRETCH - 1.0) * 0.010 * answers as f64 / 0.004;
            assert!(
                (last as f64 - best.max(LEAST_ROWS)).abs() <= 1.0,
                "{last} rows beside {answers}"
            );
        }
    }

    #[test]
    fn the_short_end_of_a_prompt_says_nothing() {
        let mut pace = Pace::new();
        let seconds = |rows: usize| 0.040 + 0.004 * rows as f64;
        let before = rows(&mut pace, 1, 20, seconds)[19];
        pace.note(1, 1, seconds(1));
        assert_eq!(pace.prompt_rows(1), Some(before));
    }

    #[test]
    fn a_clock_that_stands_still_stops_nothing() {
        let rows = rows(&mut Pace::new(), 3, 10, |_| 0.0);
        assert!(rows[9] > rows[1], "{rows:?}");
    }
}
