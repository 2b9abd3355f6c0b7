//! The threads that may wait for a disk: as many as there is work, up to a limit, and none when there is none.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sync::{Condvar, Mutex};
use super::{lock, start, Engine};

/// How long a thread without work stays.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Crew {
    max: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<usize>,
    threads: usize,
    idle: usize,
}

impl Crew {
    pub(super) fn new(max: usize) -> Self {
        Self { max, state: Mutex::default(), work: Condvar::new() }
    }

    /// Queues a job and sees to it that a thread will take it, of its own if there may be more.
    ///
    /// # Errors
    /// The errno by which there is no thread and none can be started: the job is not queued.
    pub(super) fn give(&self, engine: &Arc<Engine>, id: usize) -> Result<(), i32> {
        let mut state = lock(&self.state);
        if state.idle <= state.queue.len() && state.threads < self.max {
            let engine = Arc::clone(engine);
            match start("sendfile-crew", move || engine.crew.serve(&engine)) {
                Ok(()) => state.threads += 1,
                Err(_) if state.threads > 0 => {}
                Err(errno) => return Err(errno),
            }
        }
        if state.threads == 0 {
            return Err(libc::EAGAIN);
        }
        state.queue.push_back(id);
        self.work.notify_one();
        Ok(())
    }

    /// A job waits for a thread; or there is no crew, and a leader does its work while others wait for the lead.
    pub(super) fn is_wanted(&self) -> bool {
        let state = lock(&self.state);
        state.threads == 0 || !state.queue.is_empty()
    }

    fn serve(&self, engine: &Arc<Engine>) {
        while let Some(id) = self.next() {
            engine.toil(id);
        }
    }

    fn next(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        loop {
            if let Some(id) = state.queue.pop_front() {
                return Some(id);
            }
            state.idle += 1;
            let (woken, timeout) =
                self.work.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}
