//! The thread that computes masks while the model computes logits.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use llguidance::toktrie::SimpleVob;
use llguidance::Matcher;

/// A mask of tokens, or what llguidance says why there is none.
pub(super) type Computed = Result<SimpleVob, String>;

type Job = Box<dyn FnOnce() + Send>;

/// Computes masks one after another, on a thread that starts with the first and ends with this.
#[derive(Default)]
pub(super) struct Masker(Mutex<Option<Sender<Job>>>);

impl Masker {
    /// Begins to compute what may come next; both come back through the channel.
    pub fn begin(&self, mut matcher: Matcher) -> Receiver<(Matcher, Computed)> {
        let (done, result) = channel();
        self.run(Box::new(move || {
            // llguidance catches its own panics here.
            let mask = matcher.compute_mask_or_eos().map_err(|error| error.to_string());
            // Whose answer has ended waits no more.
            let _ = done.send((matcher, mask));
        }));
        result
    }

    /// Does a job behind those that were begun before.
    pub fn run(&self, job: Job) {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.get_or_insert_with(start);
        // Without the thread it is done here and now.
        if let Err(refused) = sender.send(job) {
            refused.0();
        }
    }
}

fn start() -> Sender<Job> {
    let (jobs, inbox) = channel::<Job>();
    let run = move || inbox.into_iter().for_each(|job| job());
    // If there is no thread, the channel is closed with its receiver.
    let _ = thread::Builder::new().name("olmo2-masks".into()).stack_size(16 << 20).spawn(run);
    jobs
}
