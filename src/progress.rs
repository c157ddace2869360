//! What rank 0 says while it works: a live line on a terminal, plain lines in a log file.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::engineering;

/// Before this, a rate says little.
const FIRST_RATE: Duration = Duration::from_secs(1);
const FIRST_LINE: Duration = Duration::from_secs(10);
const NEXT_LINES: Duration = Duration::from_secs(60);

/// The speech of a run.
pub struct Progress {
    live: bool,
    bar: ProgressBar,
    stage: Option<Stage>,
}

struct Stage {
    subject: String,
    done: usize,
    /// How many of these an earlier run had computed.
    resumed: usize,
    start: Instant,
    next_line: Duration,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            live: on_terminal(),
            bar: ProgressBar::hidden(),
            stage: None,
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| say!("{text}"));
    }

    /// A warning, on stderr.
    pub fn warn(&self, text: &str) {
        self.bar.suspend(|| eprintln!("warning: {text}"));
    }

    /// An error, on stderr.
    pub fn error(&self, text: &str) {
        self.bar.suspend(|| eprintln!("error: {text}"));
    }

    /// Neurons of a subject are being computed: `done` more of `neurons`, which an earlier run had computed if `resumed`.
    pub fn computed(
        &mut self,
        subject: &str,
        neurons: usize,
        frames: usize,
        done: usize,
        resumed: bool,
    ) {
        if self
            .stage
            .as_ref()
            .is_none_or(|stage| stage.subject != subject)
        {
            self.begin(subject, neurons);
        }
        let Some(stage) = &mut self.stage else { return };
        stage.done += done;
        stage.resumed += if resumed { done } else { 0 };
        self.bar.set_position(stage.done as u64);
        let elapsed = stage.start.elapsed();
        if elapsed < FIRST_RATE {
            return;
        }
        let computed = stage.done - stage.resumed;
        let rate = (computed * frames) as f64 / elapsed.as_secs_f64().max(1e-9);
        let left =
            elapsed.mul_f64((neurons - stage.done.min(neurons)) as f64 / computed.max(1) as f64);
        let text = format!(
            "{} neuron-frames/s, {} left",
            engineering(rate),
            clock(left)
        );
        self.bar.set_message(text.clone());
        if !self.live && elapsed >= stage.next_line {
            stage.next_line = elapsed + NEXT_LINES;
            say!("{subject}: {} of {neurons} neurons, {text}", stage.done);
        }
    }

    fn begin(&mut self, subject: &str, neurons: usize) {
        self.bar.finish_and_clear();
        if self.live {
            self.bar =
                ProgressBar::with_draw_target(Some(neurons as u64), ProgressDrawTarget::stdout());
            let style =
                ProgressStyle::with_template("{prefix} {bar:24} {pos} of {len} neurons {msg}");
            self.bar
                .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_prefix(subject.to_string());
        }
        self.stage = Some(Stage {
            subject: subject.to_string(),
            done: 0,
            resumed: 0,
            start: Instant::now(),
            next_line: FIRST_LINE,
        });
    }

    /// A subject is being written.
    pub fn writing(&mut self, subject: &str) {
        self.bar.finish_and_clear();
        self.stage = None;
        if self.live {
            self.bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{prefix} {spinner} {msg} {elapsed}");
            self.bar
                .set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            self.bar.set_prefix(subject.to_string());
            self.bar.set_message("writing grids");
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    /// Nothing is going on any more.
    pub fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.stage = None;
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn clock(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Whether a person sees stdout. Open MPI gives its processes a terminal of their own even when its output goes to a
/// file, so under a launcher the launcher's stdout counts.
fn on_terminal() -> bool {
    let launched = std::env::var_os("OMPI_COMM_WORLD_SIZE").is_some()
        || std::env::var_os("PMI_SIZE").is_some();
    let launcher = format!("/proc/{}/fd/1", std::os::unix::process::parent_id());
    let seen = || {
        std::fs::read_link(launcher)
            .is_ok_and(|to| to.starts_with("/dev/pts") || to.starts_with("/dev/tty"))
    };
    std::io::stdout().is_terminal() && (!launched || seen())
}
