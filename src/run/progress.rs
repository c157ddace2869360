//! What the user sees while rank 0 works: a live line on a terminal, plain lines in a log file.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spikegrid_core::findings::Finding;

use crate::run::report::engineering;

/// A rate is shown after this time: before, it would be too inexact.
const FIRST_RATE: Duration = Duration::from_secs(1);
/// When a log file first gets a line about a subject, and how often it gets more.
const FIRST_LINE: Duration = Duration::from_secs(10);
const NEXT_LINES: Duration = Duration::from_secs(60);

/// What is printed during a run.
pub struct Progress {
    /// Nothing is printed, as in tests.
    quiet: bool,
    /// A person sees stdout.
    live: bool,
    bar: ProgressBar,
    /// The subject that the bar shows.
    shown: Option<String>,
    /// Subjects that are being computed, by name.
    stages: HashMap<String, Stage>,
}

/// A subject that is being computed.
struct Stage {
    /// Neurons whose units are done.
    done: usize,
    /// How many of these an earlier run had computed.
    resumed: usize,
    start: Instant,
    next_line: Duration,
}

impl Progress {
    /// Prints to stdout and stderr.
    pub fn new() -> Self {
        Self {
            quiet: false,
            live: on_terminal(),
            bar: ProgressBar::hidden(),
            shown: None,
            stages: HashMap::new(),
        }
    }

    /// Prints nothing.
    #[cfg(test)]
    pub(crate) fn quiet() -> Self {
        Self {
            quiet: true,
            live: false,
            ..Self::new()
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.print(|| say!("{text}"));
    }

    /// A warning, on stderr.
    pub fn warn(&self, text: &str) {
        self.print(|| complain(&format!("warning: {text}")));
    }

    /// What was found out about a subject, on stderr.
    pub fn finding(&self, subject: &str, finding: &Finding) {
        let severity = finding.severity.name();
        self.print(|| complain(&format!("{severity}: {subject}: {finding}")));
    }

    /// An error, on stderr.
    pub fn error(&self, text: &str) {
        self.print(|| complain(&format!("error: {text}")));
    }

    /// Prints beside the live line.
    fn print(&self, print: impl FnOnce()) {
        if !self.quiet {
            self.bar.suspend(print);
        }
    }

    /// Neurons of a subject are computed: `done` more of `neurons`, which an earlier run had computed if `resumed`.
    pub fn computed(
        &mut self,
        subject: &str,
        neurons: usize,
        frames: usize,
        done: usize,
        resumed: bool,
    ) {
        let stage = self.stages.entry(subject.to_string()).or_insert(Stage {
            done: 0,
            resumed: 0,
            start: Instant::now(),
            next_line: FIRST_LINE,
        });
        stage.done += done;
        stage.resumed += if resumed { done } else { 0 };
        let elapsed = stage.start.elapsed();
        let computed = stage.done - stage.resumed;
        let rate = (computed * frames) as f64 / elapsed.as_secs_f64().max(1e-9);
        let left =
            elapsed.mul_f64((neurons - stage.done.min(neurons)) as f64 / computed.max(1) as f64);
        let text = match elapsed < FIRST_RATE {
            true => String::new(),
            false => format!(
                "{} neuron-frames/s, {} left",
                engineering(rate),
                clock(left)
            ),
        };
        let position = stage.done;
        if !self.live && elapsed >= stage.next_line {
            stage.next_line = elapsed + NEXT_LINES;
            self.line(&format!(
                "{subject}: {position} of {neurons} neurons, {text}"
            ));
        }
        if position >= neurons {
            self.stages.remove(subject);
        }
        if self.live {
            if self.shown.as_deref() != Some(subject) {
                self.show(subject, "{prefix} {bar:24} {pos} of {len} neurons {msg}");
                self.bar.set_length(neurons as u64);
            }
            self.bar.set_position(position as u64);
            self.bar.set_message(text);
        }
    }

    fn show(&mut self, subject: &str, template: &str) {
        self.clear();
        self.bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template(template);
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_prefix(subject.to_string());
        self.shown = Some(subject.to_string());
    }

    /// A subject is being written.
    pub fn writing(&mut self, subject: &str) {
        if self.live && self.stages.is_empty() {
            self.show(subject, "{prefix} {spinner} writing grids {elapsed}");
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    /// Nothing more is said of a subject.
    pub fn ended(&mut self, subject: &str) {
        self.stages.remove(subject);
        if self.shown.as_deref() == Some(subject) {
            self.clear();
        }
    }

    /// Nothing is shown any more.
    pub fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.shown = None;
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a line to stderr at once: other ranks write there, too.
fn complain(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
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
