//! What every job of all ranks has: start-up, signals, exit statuses, and the pace at which a rank looks for messages.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use spikegrid_ranks::{World, launched_rank};

use crate::memory::keep_freed_blocks;
use crate::settings::flags::Interruption;

/// Nothing could start.
pub const NOTHING_STARTED: u8 = 2;
/// A signal ended the job; it goes on when it is started again.
pub const STOPPED: u8 = 3;

/// How long a rank without work sleeps between two looks for messages. MPI cannot wake it, and each look takes time from the compute
/// threads: a look every millisecond takes 2.4 % of a core; `--workers 2` drops from 1.95 to 1.90 times one.
const SLEEP: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(8);

/// Runs a job of all ranks; its exit status.
pub fn on_ranks(job: impl FnOnce(&mut World) -> u8) -> ExitCode {
    // HDF5 1.10 crashes when it ends after a file that it could not close (disk full). It ends with MPI, but only if it
    // began after it.
    let _ = hdf5::library_version();
    keep_freed_blocks();
    // candle's own threads wait by spinning, and every rank computes on its `--workers` threads alone.
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: the process has one thread until MPI starts.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
    let (_universe, mut world) = match World::start() {
        Ok(started) => started,
        Err(error) => {
            if launched_rank() == 0 {
                eprintln!("error: {error}");
            }
            return ExitCode::from(NOTHING_STARTED);
        }
    };
    // Then the world is dropped, and after it the universe, with which MPI ends.
    ExitCode::from(job(&mut world))
}

/// Lets rank 0 `prepare` what all ranks need, and something that it needs alone; returns the first on every rank and the second on
/// rank 0. Returns nothing where that failed, after rank 0 has printed the reason. Collective.
pub fn prepare_on_root<T: Serialize + DeserializeOwned, R, E: Display>(
    world: &World,
    prepare: impl FnOnce() -> Result<(T, R), E>,
) -> Option<(T, Option<R>)> {
    let prepared = world.is_root().then(prepare);
    let (answer, of_root) = match prepared {
        Some(Ok((for_all, of_root))) => (Some(Ok(for_all)), Some(of_root)),
        Some(Err(error)) => (Some(Err(error.to_string())), None),
        None => (None, None),
    };
    let for_all = agreed(world, world.broadcast::<Result<T, String>>(answer))?;
    Some((for_all, of_root))
}

/// Goes on only where all ranks can: this rank's outcome, or nothing after rank 0 has printed why one of them failed. Collective.
pub fn agree<T, E: Display>(world: &World, outcome: Result<T, E>) -> Option<T> {
    agreed(world, world.agree(outcome))
}

/// The value of an outcome that is the same on all ranks; rank 0 prints the error.
fn agreed<T, E: Display>(world: &World, outcome: Result<T, E>) -> Option<T> {
    outcome
        .inspect_err(|error| {
            if world.is_root() {
                eprintln!("error: {error}");
            }
        })
        .ok()
}

/// Notes the last signal that asks this process to end.
///
/// # Errors
/// The system's reason.
pub fn catch_signals(interruption: Interruption) -> Result<Arc<AtomicUsize>, String> {
    let signal = Arc::new(AtomicUsize::new(0));
    let chosen = interruption.preemption_signal.number();
    for number in [SIGINT, SIGTERM, SIGUSR1, chosen] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)
            .map_err(|error| format!("signals: {error}"))?;
    }
    // A write beyond the limit of the size of files (`ulimit -f`) then fails its subject, where it would end the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(|error| format!("signals: {error}"))?;
    Ok(signal)
}

/// How often a rank looks for messages: the less often, the longer nothing has happened.
pub struct Pace {
    last_event: Instant,
}

impl Pace {
    /// Something has just happened.
    pub fn new() -> Self {
        Self {
            last_event: Instant::now(),
        }
    }

    /// Notes that something has happened: messages are looked for often again.
    pub fn note_event(&mut self) {
        self.last_event = Instant::now();
    }

    /// How long to sleep before the next look: a quarter of the time for which nothing has happened, within 1 to 8 ms.
    pub fn sleep(&self) -> Duration {
        (self.last_event.elapsed() / 4).clamp(*SLEEP.start(), *SLEEP.end())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_looks_for_messages_less_often_the_longer_nothing_has_happened() {
        let ago = |seconds| Pace {
            last_event: Instant::now() - Duration::from_secs_f64(seconds),
        };
        assert_eq!(Pace::new().sleep(), Duration::from_millis(1));
        let between = ago(0.020).sleep();
        assert!((Duration::from_millis(5)..=Duration::from_millis(8)).contains(&between));
        let mut pace = ago(60.0);
        assert_eq!(pace.sleep(), Duration::from_millis(8));
        pace.note_event();
        assert_eq!(pace.sleep(), Duration::from_millis(1));
    }
}
