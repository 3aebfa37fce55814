//! The engine's threads: a forward pass is some hundred short loops, each shared out among them.
//!
//! Starting a loop must cost about a microsecond, so workers between two loops spin for a moment
//! before they go to sleep. Between requests they sleep.

use std::any::Any;
use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Pauses before a waiting thread gives up its core: about a tenth of a millisecond.
const SPINS: u32 = 3000;

/// The caller of [`Threads::run`] and `count - 1` workers.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a loop runs: there is one at a time.
    turn: Mutex<()>,
}

/// `body(task, thread)`.
type Body<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// A loop: its body and the number of its tasks.
#[derive(Clone, Copy)]
struct Loop {
    body: *const Body<'static>,
    tasks: usize,
}

struct Shared {
    /// Who may touch `current`: [`OPEN`] while a loop can be joined, below it the number of workers
    /// inside, above it the number of loops so far, by which a worker knows one it has done.
    gate: AtomicU64,
    current: UnsafeCell<Option<Loop>>,
    /// The next task nobody has taken.
    next: AtomicUsize,
    /// What the first panicking task said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    alarm: Condvar,
}

const OPEN: u64 = 1 << 16;
const INSIDE: u64 = OPEN - 1;
const LOOP: u64 = OPEN << 1;

// SAFETY: `current` is written by the thread that holds `turn`, while the gate is closed and nobody
// is inside; it is read only by those inside an open gate. The body it points to is Sync.
unsafe impl Sync for Shared {}
// SAFETY: as above; everything else in it is Send.
unsafe impl Send for Shared {}

impl Threads {
    pub fn new(count: usize) -> Result<Threads> {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            current: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        });
        let mut threads = Threads { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 1..count {
            let shared = threads.shared.clone();
            let worker = std::thread::Builder::new()
                .name(format!("olmo2-{index}"))
                .spawn(move || shared.work(index))
                .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
            threads.workers.push(worker);
        }
        Ok(threads)
    }

    /// Threads that run a loop, the caller among them.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body(task, thread)` once for each task below `tasks`, in any order, on any thread.
    /// Calls with the same thread number never overlap. Returns when all are done; panics if one
    /// of them did. A body must not run a loop itself.
    pub fn run(&self, tasks: usize, body: impl Fn(usize, usize) + Sync) {
        let turn = lock(&self.turn);
        if tasks <= 1 || self.workers.is_empty() {
            return (0..tasks).for_each(|task| body(task, 0));
        }
        let body: &Body<'_> = &body;
        // SAFETY: only the lifetime is changed. The gate is closed and empty again before this
        // function returns or unwinds, and nobody uses the body outside it.
        let body = unsafe { std::mem::transmute::<*const Body<'_>, *const Body<'static>>(body) };
        let this = Loop { body, tasks };
        let shared = &*self.shared;
        // SAFETY: we hold the turn, and the gate is closed and empty: every loop ends so.
        unsafe { *shared.current.get() = Some(this) };
        shared.next.store(0, Ordering::Relaxed);
        shared.open();
        shared.take_tasks(this, 0);
        shared.close();
        let panic = lock(&shared.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks; there is nothing else in it to fail.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn open(&self) {
        let gate = self.gate.load(Ordering::Relaxed);
        self.gate.store((gate + LOOP) | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
    }

    /// Lets nobody in any more and waits until everybody is out. Who never came is not waited for.
    fn close(&self) {
        self.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        while self.gate.load(Ordering::Acquire) & INSIDE != 0 {
            pause(&mut spins);
        }
    }

    fn wake(&self) {
        drop(lock(&self.bed));
        self.alarm.notify_all();
    }

    fn work(&self, thread: usize) {
        let mut last = 0;
        while self.wait(last) {
            if let Some(this) = self.enter(&mut last) {
                self.take_tasks(this, thread);
                self.gate.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Waits for a loop later than `last`; false when the threads are to end.
    fn wait(&self, last: u64) -> bool {
        let ready = || self.stop.load(Ordering::SeqCst) || self.joinable(last).is_some();
        for _ in 0..SPINS {
            if ready() {
                return !self.stop.load(Ordering::SeqCst);
            }
            std::hint::spin_loop();
        }
        let mut bed = lock(&self.bed);
        // From here on whoever opens the gate sees a sleeper, or we see the open gate.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !ready() {
            bed = self.alarm.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        !self.stop.load(Ordering::SeqCst)
    }

    /// The gate, if it is open to a loop later than `last`.
    fn joinable(&self, last: u64) -> Option<u64> {
        let gate = self.gate.load(Ordering::SeqCst);
        (gate & OPEN != 0 && gate / LOOP != last).then_some(gate)
    }

    fn enter(&self, last: &mut u64) -> Option<Loop> {
        loop {
            let gate = self.joinable(*last)?;
            let entered = self.gate.compare_exchange_weak(
                gate,
                gate + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if entered.is_ok() {
                *last = gate / LOOP;
                // SAFETY: we are inside: nobody writes until we are out.
                return unsafe { *self.current.get() };
            }
        }
    }

    fn take_tasks(&self, this: Loop, thread: usize) {
        let all = || loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= this.tasks {
                return;
            }
            // SAFETY: the body lives until the gate is closed and empty, and we are inside or are
            // the one who closes it.
            unsafe { (*this.body)(task, thread) };
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            self.next.store(this.tasks, Ordering::Relaxed); // the others need not go on
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

fn pause(spins: &mut u32) {
    if *spins < SPINS {
        *spins += 1;
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// No code that can panic runs under these locks but the loops themselves, and what a loop left
/// half done nobody sees.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As many threads as the process may use physical cores.
pub fn default_count() -> usize {
    let available = std::thread::available_parallelism().map_or(1, |count| count.get());
    physical_cores().map_or(available, |cores| cores.min(available))
}

/// Two threads of a core share its multipliers: the second only gets in the way. Linux says which
/// belong together; elsewhere the available parallelism has to do.
fn physical_cores() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let siblings = |cpu: usize| {
        let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        std::fs::read_to_string(file).ok()
    };
    let cores: BTreeSet<String> = cpus(allowed).filter_map(siblings).collect();
    (!cores.is_empty()).then_some(cores.len())
}

/// The numbers in a list such as `0-3,8`.
fn cpus(list: &str) -> impl Iterator<Item = usize> + '_ {
    list.split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok();
        match (number(first), number(last)) {
            (Some(first), Some(last)) => first..last + 1,
            _ => 0..0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpus("\t0-3,8,10-11\n").collect::<Vec<_>>(), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(cpus("").count() + cpus("x-3").count(), 0);
        let count = default_count();
        assert!((1..=std::thread::available_parallelism().unwrap().get()).contains(&count));
    }

    #[test]
    fn every_task_runs_once_on_any_number_of_threads() {
        for count in [1, 2, 3, 8] {
            let threads = Threads::new(count).unwrap();
            for tasks in [0, 1, 2, 7, 1000] {
                let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                threads.run(tasks, |task, thread| {
                    assert!(thread < count);
                    runs[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_loops_follow_each_other() {
        let threads = Threads::new(3).unwrap();
        let sum = AtomicUsize::new(0);
        for _ in 0..20_000 {
            threads.run(4, |task, _| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 20_000 * 6);
    }

    #[test]
    fn sleeping_workers_wake_up() {
        let threads = Threads::new(2).unwrap();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(20));
            // Two tasks that wait for each other need both threads.
            let arrived = AtomicUsize::new(0);
            threads.run(2, |_, _| {
                arrived.fetch_add(1, Ordering::SeqCst);
                while arrived.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
            });
        }
        // An idle worker sleeps, sooner or later: without that this never ends.
        while threads.shared.sleepers.load(Ordering::SeqCst) < 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_threads_usable() {
        let threads = Threads::new(3).unwrap();
        for bad in 0..20 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                threads.run(20, |task, _| assert_ne!(task, bad, "task {bad} fails"))
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains(&format!("task {bad} fails")), "{message}");
            let done = AtomicUsize::new(0);
            threads.run(20, |_, _| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 20);
        }
    }
}
