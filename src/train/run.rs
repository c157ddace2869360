//! The training job: members of the ensembles, spread over ranks.
//!
//! Rank 0 assigns members on demand and reports; every rank, rank 0 too, trains one member at a time on a thread of its
//! own and writes its file. The weights of a member depend on the recipe, its seed and the ground truth alone.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spikegrid_core::cascade::ModelConfig;
use spikegrid_files::models::folder::{self, member_name};
use spikegrid_files::models::{state_dict, verify};
use spikegrid_ranks::World;

use super::TrainingError;
use super::coordinator::{Coordinator, Member, Message};
use super::fit::{self, Fitted};
use super::ground_truth::{self, Dataset};
use super::material::Material;
use super::recipe::Recipe;
use crate::job::{NOTHING_STARTED, Pace, agree, catch_signals, prepare_on_root};
use crate::random::Random;
use crate::settings::flags::Interruption;

/// How often a rank tells rank 0 how far its member is.
const NEXT_REPORT: Duration = Duration::from_secs(2);

/// What `train` reads and writes.
#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// Folder of ground-truth datasets: folders of MAT-files with the struct CAttached, one per neuron
    #[arg(long, value_name = "DIR")]
    pub ground_truth: PathBuf,
    /// Configuration of the model: architecture, noise levels, datasets and recipe, in CASCADE's format
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Folder of the model; members that are there already are kept
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    pub interruption: Interruption,
}

/// What all ranks must know; rank 0 reads it once.
#[derive(Serialize, Deserialize)]
struct Job {
    config: ModelConfig,
    recipe: Recipe,
    /// The configuration as it was read.
    text: String,
    output: PathBuf,
    datasets: Vec<Dataset>,
    /// What the members' weights depend on, hashed.
    provenance: String,
    /// What the members are trained on, made by the first of this rank.
    #[serde(skip)]
    material: OnceLock<Material>,
}

/// Trains the model; the exit status is the same on every rank. Collective.
pub fn run(world: &mut World, args: &TrainArgs) -> u8 {
    world.watch_peers(args.interruption.peer_timeout());
    let Some((job, missing)) = prepare_on_root(world, || prepare(args)) else {
        return NOTHING_STARTED;
    };
    let Some(signal) = agree(world, catch_signals(args.interruption)) else {
        return NOTHING_STARTED;
    };
    let job = Arc::new(job);
    let mut coordinator = missing.map(|missing| {
        let (members, ranks) = (all_members(&job.config).len(), world.size());
        greet(&job, missing.len(), members, ranks);
        Coordinator::new(missing, members, job.recipe.training_frames, ranks)
    });
    let status = work(world, &job, &mut coordinator, &signal);
    world.drain();
    let completed = match coordinator {
        Some(_) if status == 0 => complete_folder(&job),
        _ => Ok(()),
    };
    match agree(world, completed) {
        Some(()) => status,
        None => 1,
    }
}

/// Reads the configuration, the ground truth and what is in the folder already; returns the job and the members that are still to be
/// trained.
fn prepare(args: &TrainArgs) -> Result<(Job, VecDeque<Member>), TrainingError> {
    let output = &args.output;
    if output.to_str().is_none() {
        return Err(TrainingError::NotUtf8 {
            path: output.clone(),
        });
    }
    let text = folder::read_config(&args.config)?;
    let config = folder::parse_config(&text, &args.config)?;
    let recipe = Recipe::parse(&text, &args.config)?;
    let mut datasets = Vec::new();
    let mut warnings = Vec::new();
    for name in &recipe.training_datasets {
        let dataset = ground_truth::read_dataset(&args.ground_truth.join(name), &mut warnings)?;
        datasets.push(dataset);
    }
    warnings
        .iter()
        .for_each(|warning| eprintln!("warning: {warning}"));
    let provenance = recipe.provenance(&config, &datasets);
    let io = |source| TrainingError::Io {
        path: output.clone(),
        source,
    };
    fs::create_dir_all(output).map_err(io)?;
    let writable_check = output.join(".writable.partial");
    fs::write(&writable_check, b"").map_err(io)?;
    fs::remove_file(&writable_check).map_err(io)?;
    let missing = missing_members(output, &config, &provenance)?;
    let job = Job {
        config,
        recipe,
        text,
        output: output.clone(),
        datasets,
        provenance,
        material: OnceLock::new(),
    };
    Ok((job, missing))
}

/// The members of a model that its folder does not have yet.
///
/// # Errors
/// The folder has members that are damaged, that the model does not have, or that another recipe made.
fn missing_members(
    output: &Path,
    config: &ModelConfig,
    provenance: &str,
) -> Result<VecDeque<Member>, TrainingError> {
    let mut missing = all_members(config);
    let mut checksums = verify::expected_checksums(output, &mut Vec::new())?.unwrap_or_default();
    for name in folder::member_files(output)?
        .values()
        .flat_map(BTreeMap::values)
    {
        let path = output.join(name);
        let known = missing
            .iter()
            .position(|&(level, number)| member_name(level, number) == *name);
        let Some(place) = known else {
            return Err(TrainingError::ForeignMember {
                path,
                levels: config.noise_levels.clone(),
                ensemble_size: config.ensemble_size,
            });
        };
        if state_dict::recipe_of(&path)?.as_deref() != Some(provenance) {
            return Err(TrainingError::OtherRecipe { path });
        }
        folder::read_member(&path, config)?;
        if let Some(expected) = checksums.remove(name) {
            let found = folder::checksum(&path)?;
            if found != expected {
                return Err(TrainingError::Damaged {
                    path,
                    expected,
                    found,
                });
            }
        }
        missing.remove(place);
    }
    Ok(missing)
}

/// All members of a model, in order.
fn all_members(config: &ModelConfig) -> VecDeque<Member> {
    let levels = config.noise_levels.iter();
    let members = 0..config.ensemble_size.max(1) as u32;
    levels
        .flat_map(|&level| members.clone().map(move |number| (level, number)))
        .collect()
}

/// Handles messages until rank 0 says how it ended.
fn work(
    world: &mut World,
    job: &Arc<Job>,
    coordinator: &mut Option<Coordinator>,
    signal: &AtomicUsize,
) -> u8 {
    let mut training: Option<Training> = None;
    let mut pace = Pace::new();
    world.send(0, Message::Idle);
    loop {
        while let Some((from, message)) = world.receive::<Message>() {
            pace.note_event();
            match message {
                Message::Train(member) => training = Some(Training::start(job, member)),
                Message::End { status } => {
                    drop(training);
                    return status;
                }
                reply => {
                    if let Some(coordinator) = coordinator {
                        coordinator.on_reply(world, from, reply);
                    }
                }
            }
        }
        if signal.swap(0, Ordering::Relaxed) != 0 {
            world.send(0, Message::Signalled);
        }
        if let Some(running) = &training {
            match running.reports.try_recv() {
                Ok(report) => world.send(0, report),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    training = None;
                    world.send(0, Message::Idle);
                }
            }
        }
        if world.in_transit() {
            pace.note_event();
        }
        std::thread::sleep(pace.sleep());
    }
}

/// A member in training on a thread of its own, which ends soon after this is dropped.
struct Training {
    reports: Receiver<Message>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Training {
    fn start(job: &Arc<Job>, member: Member) -> Self {
        let (report, reports) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (job, stopped) = (job.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let (mut losses, mut steps, mut reported) = (0.0, 0, Instant::now());
            let progress = |frames, loss: f32| {
                (losses, steps) = (losses + loss, steps + 1);
                if reported.elapsed() > NEXT_REPORT {
                    let loss = losses / steps as f32;
                    // The receiver is gone only when the training was stopped.
                    let _ = report.send(Message::Progress {
                        member,
                        frames,
                        loss,
                    });
                    (losses, steps, reported) = (0.0, 0, Instant::now());
                }
                !stopped.load(Ordering::Relaxed)
            };
            let outcome = match train(&job, member, progress) {
                Ok(Some(loss)) => Message::Done { member, loss },
                Ok(None) => return,
                Err(error) => Message::Failed {
                    member,
                    message: error.to_string(),
                },
            };
            let _ = report.send(outcome);
        });
        Self {
            reports,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the job already.
            let _ = thread.join();
        }
    }
}

/// Trains a member and writes its file; its loss, or None if it was stopped.
fn train(
    job: &Job,
    (level, number): Member,
    progress: impl FnMut(u64, f32) -> bool,
) -> Result<Option<f32>, TrainingError> {
    let material = job
        .material
        .get_or_init(|| Material::new(&job.datasets, &job.config, &job.recipe))
        .at_level(level)?;
    let stream = 1 + ((level as u64) << 32) + u64::from(number);
    let mut random = Random::stream(job.recipe.seed, stream);
    let Some(Fitted { weights, loss }) =
        fit::fit(&job.config, &job.recipe, &material, &mut random, progress)?
    else {
        return Ok(None);
    };
    let path = job.output.join(member_name(level, number));
    state_dict::write_safetensors(&path, &job.config, &weights, &job.provenance)?;
    Ok(Some(loss))
}

/// Tells the user what will be trained.
fn greet(job: &Job, missing: usize, members: usize, ranks: usize) {
    say!(
        "training {}: {missing} of {members} members to train, {} neurons of {} datasets, {ranks} ranks, -> {}",
        job.config.model_name,
        job.datasets
            .iter()
            .map(|dataset| dataset.neurons.len())
            .sum::<usize>(),
        job.datasets.len(),
        job.output.display(),
    );
}

/// Completes the folder: the configuration and the checksums.
fn complete_folder(job: &Job) -> Result<(), TrainingError> {
    folder::write_whole(&job.output.join("config.yaml"), job.text.as_bytes())?;
    verify::write_checksums(&job.output)?;
    say!("{} is complete", job.output.display());
    Ok(())
}
