//! The threads that a step is computed by: a pool of its own, of as many as the last step asked for.

use std::sync::{Arc, Mutex, TryLockError};

use rayon::ThreadPool;

/// A pool, how many threads it has, and whose they are.
struct Kept {
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Kept>> = Mutex::new(None);

/// A pool of `threads`, or None where the calling thread has to do: for one thread; in a process that was forked from one
/// with a pool, where its threads don't exist; and where the system has no threads to give.
pub fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    if threads < 2 {
        return None;
    }
    let process = std::process::id();
    // Never waits: in a forked child, the thread that holds the lock may not exist.
    let mut kept = match POOL.try_lock() {
        Ok(kept) => kept,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    match &*kept {
        Some(one) if one.process != process => return None,
        Some(one) if one.threads == threads => return Some(Arc::clone(&one.pool)),
        _ => (),
    }
    let name = |number| format!("step {number}");
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build().ok()?);
    *kept = Some(Kept { process, threads, pool: Arc::clone(&pool) });
    Some(pool)
}
