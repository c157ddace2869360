//! What every job of all ranks has: exit statuses, signals, and the pace at which a rank looks for messages.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::settings::flags::Interruption;

/// Nothing could start.
pub const NOTHING_STARTED: u8 = 2;
/// A signal ended the job; it goes on when it is started again.
pub const STOPPED: u8 = 3;

/// Notes the last signal that asks this process to end.
///
/// # Errors
/// The system's reason.
pub fn catch_signals(interruption: Interruption) -> std::io::Result<Arc<AtomicUsize>> {
    let signal = Arc::new(AtomicUsize::new(0));
    let chosen = interruption.preemption_signal.number();
    for number in [SIGINT, SIGTERM, SIGUSR1, chosen] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
    }
    Ok(signal)
}
