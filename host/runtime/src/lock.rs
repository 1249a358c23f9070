use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic while a lock was held is no reason for the next one: every guarded value here is valid after each step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
