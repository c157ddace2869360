//! The main job: all ranks from start to exit status.
//!
//! - [`setup`]: what rank 0 finds out and tells all; [`messages`]: the messages between ranks
//! - [`subject_plan`]: how a subject is cut into work; [`budget`]: how much of it a rank may hold
//! - [`schedule`], `stretches`: which rank does what, and when; [`coordinator`]: rank 0, which carries that out
//! - `opening`, `completion`: what rank 0 does with a subject's files before and after it is processed; `run_models`: which model a
//!   subject gets
//! - [`worker`]: what every rank does; `recording`: the file that it reads; `shares`, [`assembly`]: the samples that it holds;
//!   `computing`: its compute threads, which follow the [`pipelines`]
//! - [`writer`]: the rank that writes a subject; `rank_planes`: the planes that each rank writes into the file itself
//! - [`device`]: which rank has which GPU; [`progress`], [`report`]: what the user sees

pub mod assembly;
mod blank_frames;
pub mod budget;
mod completion;
mod computing;
pub mod coordinator;
pub mod device;
pub mod messages;
mod opening;
pub mod pipelines;
pub mod progress;
mod rank_planes;
mod rate_places;
mod recording;
pub mod report;
mod run_models;
pub mod schedule;
pub mod setup;
mod shares;
mod stretches;
pub mod subject_plan;
pub mod worker;
pub mod writer;

#[cfg(test)]
mod fake_job;
#[cfg(test)]
mod fake_outbox;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use spikegrid_core::wording::counted;
use spikegrid_inference::pipeline::Workers;
use spikegrid_ranks::World;

use crate::job::{NOTHING_STARTED, Pace, agree, catch_signals, prepare_on_root};
use crate::run::coordinator::Coordinator;
use crate::run::messages::{Message, Order, Reply};
use crate::run::progress::Progress;
use crate::run::report::{Report, peak_resident_bytes};
use crate::run::setup::{Prepared, Setup};
use crate::run::worker::Worker;
use crate::settings::flags::{Interruption, RunArgs};

/// What a rank computes with.
struct Resources {
    workers: Workers,
    /// Where the network is evaluated, in words.
    place: String,
    /// The last signal that this rank got, 0 for none.
    signal: Arc<AtomicUsize>,
}

/// Processes the subjects; the exit status (rule 1.4) is the same on every rank. Collective.
///
/// Rank 0 alone reads the flags, because they may come from a file.
pub fn run<E: Display>(world: &mut World, read: impl FnOnce() -> Result<RunArgs, E>) -> u8 {
    let start = Instant::now();
    let Some((interruption, flags)) =
        prepare_on_root(world, || read().map(|flags| (flags.interruption, flags)))
    else {
        return NOTHING_STARTED;
    };
    world.watch_peers(interruption.peer_timeout());
    let prepared = prepare_on_root(world, || {
        let flags = flags.ok_or("rank 0 has no flags")?;
        Setup::prepare(flags).map(|prepared| {
            let Prepared {
                setup,
                subjects,
                models,
                warnings,
            } = prepared;
            (setup, (subjects, models, warnings))
        })
    });
    let Some((setup, of_root)) = prepared else {
        return NOTHING_STARTED;
    };
    let Some(resources) = agree(world, resources(world, &setup, interruption)) else {
        return NOTHING_STARTED;
    };
    let devices = device::lines(&world.gather_text(&resources.place));
    let of_root = of_root.map(|(subjects, models, warnings)| {
        let progress = Progress::new();
        greet(
            &progress,
            world,
            &setup,
            subjects.len(),
            &devices,
            &warnings,
        );
        let coordinator = Coordinator::new(&setup, subjects, models, world.size(), progress);
        let report = begin_report(&setup, world.size(), devices, warnings);
        (coordinator, report)
    });
    let (mut coordinator, report) = of_root.unzip();
    let mut worker = Worker::new(setup.pipelines(), resources.workers);
    let status = work(world, &mut worker, &mut coordinator, &resources.signal);
    worker.release_gpu();
    world.drain();
    let peaks = world.gather(peak_resident_bytes());
    if let (Some(coordinator), Some(mut report)) = (coordinator, report) {
        report.exit_status = status;
        report.warnings.extend(coordinator.model_warnings());
        report.subjects = coordinator.reports;
        report.neuron_frames = coordinator.neuron_frames;
        report.wall_sec = start.elapsed().as_secs_f64();
        report.peak_resident_bytes_per_rank = peaks;
        let output_dir = report.configuration.output_dir.clone();
        if let Err(error) = report.write(&output_dir) {
            eprintln!("warning: {error}");
        }
        say!("{}", report.last_lines());
    }
    status
}

/// The report before the run.
fn begin_report(
    setup: &Setup,
    ranks: usize,
    devices: Vec<String>,
    warnings: Vec<String>,
) -> Report {
    Report {
        software_version: env!("CARGO_PKG_VERSION"),
        exit_status: NOTHING_STARTED,
        configuration: setup.config.clone(),
        model_sha256: setup.model.as_ref().map(|model| model.sha256.clone()),
        ranks,
        devices,
        warnings,
        subjects: Vec::new(),
        neuron_frames: 0,
        wall_sec: 0.0,
        peak_resident_bytes_per_rank: Vec::new(),
    }
}

/// The threads and the GPU of this rank, and its signals. Collective.
fn resources(
    world: &World,
    setup: &Setup,
    interruption: Interruption,
) -> Result<Resources, String> {
    let config = &setup.config;
    let place = world.on_node();
    let threads = |error| format!("--workers {}: {error}", config.workers);
    let mut workers = Workers::new(config.workers).map_err(threads)?;
    let (gpu, place) = device::open(config.device, place, setup.model.as_ref())?;
    if let Some(gpu) = gpu {
        workers = workers.with_gpu(gpu).map_err(threads)?;
    }
    Ok(Resources {
        workers,
        place,
        signal: catch_signals(interruption)?,
    })
}

/// Handles messages until rank 0 says how the run ended.
fn work(
    world: &mut World,
    worker: &mut Worker,
    coordinator: &mut Option<Coordinator>,
    signal: &AtomicUsize,
) -> u8 {
    let mut pace = Pace::new();
    loop {
        let mut busy = false;
        if let Some(coordinator) = coordinator {
            coordinator.advance(world);
        }
        while let Some((from, message)) = world.receive::<Message>() {
            busy = true;
            match worker.handle(world, from, message) {
                Some(Message::Order(Order::Finish { status })) => {
                    worker.sync_journals();
                    return status;
                }
                Some(Message::Reply(reply)) => {
                    if let Some(coordinator) = coordinator {
                        coordinator.on_reply(world, from, reply);
                        coordinator.advance(world);
                    }
                }
                _ => {}
            }
            worker.handle_results(world);
            // Here, too: there may always be another message.
            report_signal(world, signal);
        }
        report_signal(world, signal);
        busy |= worker.send_or_read(world);
        busy |= worker.handle_results(world);
        if busy || worker.wait_for_result(world, pace.sleep()) || world.in_transit() {
            pace.note_event();
        }
    }
}

/// Tells rank 0 of a signal that this rank got.
fn report_signal(world: &mut World, signal: &AtomicUsize) {
    match signal.swap(0, Ordering::Relaxed) {
        0 => {}
        number => {
            let signal = number as i32;
            world.send(0, Message::Reply(Reply::Signalled { signal }));
        }
    }
}

/// Tells the user what will be done, and with what.
fn greet(
    progress: &Progress,
    world: &World,
    setup: &Setup,
    subjects: usize,
    devices: &[String],
    warnings: &[String],
) {
    let config = &setup.config;
    let rate = setup.model.as_ref().map(|model| model.config.sampling_rate);
    let rate = rate.map_or_else(String::new, |rate| format!(" ({rate} Hz)"));
    progress.line(&format!(
        "spikegrid-mpi {}: {}, model {}{rate}, {} of {}, {} -> {}",
        env!("CARGO_PKG_VERSION"),
        counted(subjects, "subject"),
        config.cascade_model,
        counted(world.size(), "rank"),
        counted(config.workers, "thread"),
        config.input_dir.display(),
        config.output_dir.display()
    ));
    devices.iter().for_each(|line| progress.line(line));
    if let (Some(task), 0) = (&config.array, subjects) {
        progress.line(&format!(
            "array task {}: there are fewer subjects than the {} tasks, and none is left for this one; nothing to do",
            task.id, task.tasks
        ));
    }
    warnings.iter().for_each(|warning| progress.warn(warning));
}
