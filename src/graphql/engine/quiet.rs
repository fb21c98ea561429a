//! Knows when all of a request's resolvers wait for batches and none can continue: the moment at which a batch is complete.
//!
//! Waiting for a time, or for a number of turns, is either too long or too short: how many turns siblings need grows with the rows. Here
//! the request's own future is watched. When it has been polled, has not been woken meanwhile, and no batch is running, then every key of
//! the batch has been requested.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{future::poll_fn, task::AtomicWaker};

/// After so many polls in a row, a request yields to others.
const POLLS: usize = 32;

/// The quiet moments of one request.
#[derive(Debug, Default)]
pub struct Quiet {
    waiting: Mutex<Waiting>,
    under_way: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many quiet moments there have been.
    moments: u64,
    wakers: Vec<Waker>,
}

/// While it lives, a batch is running.
pub struct UnderWay<'q>(&'q Quiet);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Quiet {
    /// Runs the request's future, and wakes its batches when it is quiet.
    pub async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        // The runtime's cooperative budget would end a poll in the middle of a batch.
        let mut work = pin!(tokio::task::unconstrained(work));
        poll_fn(|context| {
            bell.caller.register(context.waker());
            for _ in 0..POLLS {
                bell.listen();
                if let Poll::Ready(answer) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Poll::Ready(answer);
                }
                if !bell.has_rung.load(Ordering::SeqCst) && !self.end_waiting() && !bell.rang_meanwhile() {
                    return Poll::Pending;
                }
            }
            // From here on a wake goes to the caller, which is scheduled already.
            bell.is_listening.store(false, Ordering::SeqCst);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Waits for the next quiet moment.
    pub async fn moment(&self) {
        let begin = self.lock().moments;
        poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.moments > begin {
                return Poll::Ready(());
            }
            if !waiting.wakers.last().is_some_and(|last| last.will_wake(context.waker())) {
                waiting.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Notes that a batch is running: its rows let more resolvers continue, which may request keys that others request too.
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Wakes what waits for a quiet moment; gives whether there was anything.
    fn end_waiting(&self) -> bool {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let mut waiting = self.lock();
        if waiting.wakers.is_empty() {
            return false;
        }
        waiting.moments += 1;
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who wakes the work rings it. While the work is being polled that is remembered; otherwise the caller is woken.
#[derive(Default)]
struct Bell {
    has_rung: AtomicBool,
    is_listening: AtomicBool,
    caller: AtomicWaker,
}

impl Bell {
    fn listen(&self) {
        self.is_listening.store(true, Ordering::SeqCst);
        self.has_rung.swap(false, Ordering::SeqCst);
    }

    /// Leaves it to the caller from now on, unless it has rung by then.
    fn rang_meanwhile(&self) -> bool {
        self.is_listening.store(false, Ordering::SeqCst);
        self.has_rung.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_listening.load(Ordering::SeqCst) {
            self.caller.wake();
        }
    }
}
