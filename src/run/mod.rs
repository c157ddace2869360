//! The main job: all ranks from start to exit status.
//!
//! - [`setup`]: what rank 0 finds out and tells all; [`messages`]: what ranks say to each other
//! - [`subject_plan`]: how a subject is cut into work; [`budget`]: how much of it a rank may hold
//! - [`schedule`]: which rank does what, and when; [`coordinator`]: rank 0, which carries that out
//! - [`worker`]: what every rank does; [`assembly`]: how its share is put together; [`writer`]: the rank that writes a subject
//! - [`device`]: which rank has which GPU; [`progress`], [`report`]: what the user sees

pub mod assembly;
pub mod budget;
pub mod coordinator;
pub mod device;
pub mod messages;
pub mod progress;
pub mod report;
pub mod schedule;
pub mod setup;
pub mod subject_plan;
pub mod worker;
pub mod writer;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spikegrid_inference::pipeline::Workers;
use spikegrid_ranks::World;

use crate::job::{NOTHING_STARTED, catch_signals};
use crate::settings::flags::{Interruption, RunArgs};
use coordinator::Coordinator;
use messages::{Message, Order, Reply};
use progress::Progress;
use report::{Report, peak_resident_bytes};
use setup::{Prepared, Setup};
use worker::Worker;

/// A rank that has nothing to do looks for messages again after a quarter of the time for which nothing has happened, within these
/// bounds: MPI cannot wake it, and looking takes as much of a core as a compute thread then lacks.
const SLEEP: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(8);

/// Processes the subjects; the exit status (rule 1.4) is the same on every rank. Collective.
pub fn run(world: &mut World, flags: RunArgs) -> u8 {
    let start = Instant::now();
    let interruption = flags.interruption;
    world.watch_peers(interruption.peer_timeout());
    let prepared = world
        .is_root()
        .then(|| Setup::prepare(flags).map_err(|error| error.to_string()));
    let (answer, rest) = match prepared {
        Some(Ok(Prepared {
            setup,
            subjects,
            warnings,
        })) => (Some(Ok(setup)), Some((subjects, warnings))),
        Some(Err(message)) => (Some(Err(message)), None),
        None => (None, None),
    };
    let setup = match world.broadcast::<Result<Setup, String>>(answer) {
        Ok(setup) => setup,
        Err(message) => {
            if world.is_root() {
                eprintln!("error: {message}");
            }
            return NOTHING_STARTED;
        }
    };
    let resources = resources(world, &setup, interruption);
    let (workers, place, signal) = match world.agree(resources) {
        Ok(resources) => resources,
        Err(failure) => {
            if world.is_root() {
                eprintln!("error: {failure}");
            }
            return NOTHING_STARTED;
        }
    };
    let devices = device::lines(&world.gather_text(&place));
    let root = rest.map(|(subjects, warnings)| {
        let progress = Progress::new();
        progress.line(&greeting(world, &setup, subjects.len()));
        devices.iter().for_each(|line| progress.line(line));
        if let (Some(task), true) = (&setup.config.array, subjects.is_empty()) {
            progress.line(&format!(
                "array task {}: there are fewer subjects than the {} tasks, and none is left for this one; nothing to do",
                task.id, task.tasks
            ));
        }
        warnings.iter().for_each(|warning| progress.warn(warning));
        (
            Coordinator::new(&setup, subjects, world.size(), progress),
            warnings,
        )
    });
    let (mut root, warnings) = root.unzip();
    let for_report = world.is_root().then(|| {
        (
            setup.config.clone(),
            setup.model.sha256.clone(),
            setup.sampling_rate,
        )
    });
    let mut rank = Worker::new(setup.pipeline(), workers);
    let status = work(world, &mut rank, &mut root, &signal);
    rank.release_gpu();
    world.drain();
    let peaks = world.gather(peak_resident_bytes());
    if let (Some(root), Some((configuration, model_sha256, sampling_rate))) = (root, for_report) {
        let output_dir = configuration.output_dir.clone();
        let report = Report {
            software_version: env!("CARGO_PKG_VERSION"),
            exit_status: status,
            configuration,
            model_sha256,
            sampling_rate,
            ranks: world.size(),
            devices,
            warnings: warnings.unwrap_or_default(),
            subjects: root.reports,
            neuron_frames: root.neuron_frames,
            wall_sec: start.elapsed().as_secs_f64(),
            peak_resident_bytes_per_rank: peaks,
        };
        if let Err(error) = report.write(&output_dir) {
            eprintln!("warning: {error}");
        }
        say!("{}", report.last_lines());
    }
    status
}

/// The threads and the GPU of this rank, in words where the network is evaluated, and the last signal. Collective.
fn resources(
    world: &World,
    setup: &Setup,
    interruption: Interruption,
) -> Result<(Workers, String, Arc<AtomicUsize>), String> {
    let config = &setup.config;
    let place = world.on_node();
    let threads = |error| format!("--workers {}: {error}", config.workers);
    let mut workers = Workers::new(config.workers).map_err(threads)?;
    let (gpu, place) = device::open(config.device, place, &setup.model)?;
    if let Some(gpu) = gpu {
        workers = workers.with_gpu(gpu).map_err(threads)?;
    }
    let signal = catch_signals(interruption).map_err(|error| format!("signals: {error}"))?;
    Ok((workers, place, signal))
}

/// Handles messages until rank 0 says how it ended.
fn work(
    world: &mut World,
    rank: &mut Worker,
    root: &mut Option<Coordinator>,
    signal: &AtomicUsize,
) -> u8 {
    let mut last = Instant::now();
    loop {
        let mut busy = false;
        if let Some(root) = root {
            root.advance(world);
        }
        while let Some((from, message)) = world.receive::<Message>() {
            busy = true;
            match rank.handle(world, from, message) {
                Some(Message::Order(Order::Finish { status })) => {
                    rank.sync_journals();
                    return status;
                }
                Some(Message::Reply(reply)) => {
                    if let Some(root) = root {
                        root.on_reply(world, from, reply);
                        root.advance(world);
                    }
                }
                _ => {}
            }
            rank.collect(world);
            // Messages may never run dry.
            pass_on(world, signal);
        }
        pass_on(world, signal);
        busy |= rank.serve(world);
        busy |= rank.collect(world);
        let sleep = (last.elapsed() / 4).clamp(*SLEEP.start(), *SLEEP.end());
        if busy || rank.wait(world, sleep) || world.in_transit() {
            last = Instant::now();
        }
    }
}

/// Tells rank 0 of a signal that this rank got.
fn pass_on(world: &mut World, signal: &AtomicUsize) {
    match signal.swap(0, Ordering::Relaxed) {
        0 => {}
        number => {
            let signal = number as i32;
            world.send(0, Message::Reply(Reply::Signalled { signal }));
        }
    }
}

fn greeting(world: &World, setup: &Setup, subjects: usize) -> String {
    let config = &setup.config;
    format!(
        "spikegrid-mpi {}: {subjects} subjects, model {} ({} Hz), {} ranks of {} threads, {} -> {}",
        env!("CARGO_PKG_VERSION"),
        config.cascade_model,
        setup.model.config.sampling_rate,
        world.size(),
        config.workers,
        config.input_dir.display(),
        config.output_dir.display()
    )
}
