//! A whole run in one process, for unit tests: a coordinator, and a worker for each rank, on real small files and fake messages.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use spikegrid_core::cascade::Model;
use spikegrid_core::slab::Compression;
use spikegrid_files::input::{Subject, subjects};
use spikegrid_files::models::{self, untrained};
use spikegrid_files::output::{OutputFile, SubjectFiles, nwb};
use spikegrid_inference::pipeline::Workers;
use tempfile::TempDir;

use crate::cli;
use crate::demo::{self, DemoOptions};
use crate::random::Random;
use crate::run::coordinator::Coordinator;
use crate::run::fake_outbox::{Delivery, FakeMpi, FakeOutbox};
use crate::run::messages::{Message, Order, Outbox, Reply};
use crate::run::pipelines::Pipelines;
use crate::run::progress::Progress;
use crate::run::report::SubjectReport;
use crate::run::setup::Setup;
use crate::run::worker::Worker;
use crate::run::writer::Writer;
use crate::settings::Config;

/// How long a worker whose rank has nothing else to do waits for its compute threads.
const WAIT: Duration = Duration::from_millis(2);
/// Looks without any event after which "nothing else can happen".
const PATIENCE: usize = 10;
/// Looks without any event after which a run counts as hanging: more than 20 s.
const HANG: usize = 10_000;

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        untrained::write(folder.path(), 1).expect("a model");
        models::load(folder.path()).expect("the model")
    })
}

/// Made-up recordings, and the folder into which runs write.
pub(super) struct Lab {
    folder: TempDir,
    /// `--compression`.
    pub(super) compression: Compression,
    _alone: MutexGuard<'static, ()>,
}

/// One lab at a time: the process of a crash trial has for a moment what this process has open, with the locks on the output folders
/// of all labs.
static ALONE: Mutex<()> = Mutex::new(());

impl Lab {
    /// So many subjects of 48 neurons and 120 frames.
    pub(super) fn new(subjects: usize) -> Self {
        Self::of_frames(subjects, 120)
    }

    /// So many subjects of 48 neurons and so many frames.
    pub(super) fn of_frames(subjects: usize, frames: usize) -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
            compression: Compression::Gzip,
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let options = DemoOptions {
            subjects,
            neurons: 48,
            frames,
            output: lab.input(),
            seed: 7,
            rate_hz: 2.0,
        };
        demo::write(&options, |_| {}).expect("recordings");
        lab
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    pub(super) fn subjects(&self) -> Vec<Subject> {
        subjects(&self.input()).expect("subjects")
    }

    /// The files of subject `index` of the run.
    pub(super) fn files(&self, index: usize) -> SubjectFiles {
        SubjectFiles::new(&self.output(), &self.subjects()[index].name)
    }

    /// Units of 4 neurons: 12 for each subject.
    pub(super) fn setup(&self) -> Setup {
        let path = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let (input, output) = (path(self.input()), path(self.output()));
        let arguments = [
            "spikegrid-mpi",
            "--input_dir",
            &input,
            "--output_dir",
            &output,
            "--batch_size",
            "4",
            "--num_neurons",
            "2",
            "--save_traces",
            "--activity",
            "--nwb",
            "--compression",
            self.compression.name(),
        ];
        let cli = cli::parse(arguments.map(Into::into)).expect("flags");
        let model = model().clone();
        let config = Config::resolve(cli.run).expect("settings");
        std::fs::create_dir_all(self.output()).expect("a folder");
        Setup {
            config,
            model: Some(model),
        }
    }

    pub(super) fn pipelines(&self) -> Pipelines {
        self.setup().pipelines()
    }

    /// A run on so many ranks, whose messages are delivered in the order of the routes.
    pub(super) fn job(&self, ranks: usize) -> FakeJob {
        FakeJob::new(self, ranks)
    }

    /// A number for the values in the files of subject `index`: grids, ΔF/F and spike rates.
    pub(super) fn values(&self, index: usize) -> u64 {
        let files = self.files(index);
        let mut hasher = DefaultHasher::new();
        let grids = dataset(&files.path(OutputFile::Grids), "grids").read_raw::<u8>();
        grids.expect("grids").hash(&mut hasher);
        for (file, name) in [
            (OutputFile::Traces, "dff"),
            (OutputFile::Traces, "spike_rate"),
            (OutputFile::Activity, "neuron_values"),
            (OutputFile::Nwb, nwb::RATES),
            (OutputFile::Metadata, "z_values"),
        ] {
            let values = dataset(&files.path(file), name)
                .read_raw::<f64>()
                .expect(name);
            values
                .iter()
                .for_each(|value| value.to_bits().hash(&mut hasher));
        }
        assert!(files.path(OutputFile::Figures).exists());
        hasher.finish()
    }

    /// Names in the output folder of subject `index`; none if there is no folder.
    pub(super) fn names(&self, index: usize) -> Vec<String> {
        let entries = std::fs::read_dir(self.files(index).folder);
        let entries = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// What a run on one rank writes, whose files are removed again.
    pub(super) fn expected(&self) -> Vec<u64> {
        let ended = self.job(1).run();
        assert_eq!(ended.status, 0);
        let values = (0..ended.reports.len()).map(|index| self.values(index));
        let values = values.collect();
        self.remove_output();
        values
    }

    pub(super) fn remove_output(&self) {
        std::fs::remove_dir_all(self.output()).expect("removed");
    }
}

fn dataset(path: &Path, name: &str) -> hdf5::Dataset {
    let file = hdf5::File::open(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    file.dataset(name).expect(name)
}

/// A run on several ranks.
pub(super) struct FakeJob {
    pub(super) coordinator: Coordinator,
    pub(super) workers: Vec<Worker>,
    pub(super) outboxes: Vec<FakeOutbox>,
    mpi: FakeMpi,
    /// Which route comes next, of so many.
    pick: Box<dyn FnMut(usize) -> usize>,
    /// Messages that are delivered only when nothing else can happen.
    late: Box<dyn Fn(&Delivery) -> bool>,
    /// A rank that handles messages and results only when the others have nothing to do.
    slow: Option<usize>,
    statuses: Vec<Option<u8>>,
    /// Units of each rank that it has reported as done.
    done: Vec<usize>,
}

/// How a run ended.
pub(super) struct Ended {
    /// The same on all ranks.
    pub(super) status: u8,
    pub(super) reports: Vec<SubjectReport>,
    /// Units that each rank has computed or loaded.
    pub(super) done: Vec<usize>,
}

impl FakeJob {
    fn new(lab: &Lab, ranks: usize) -> Self {
        let setup = lab.setup();
        let worker = |_| Worker::new(lab.pipelines(), one_thread());
        Self {
            coordinator: Coordinator::new(
                &setup,
                lab.subjects(),
                Vec::new(),
                ranks,
                Progress::quiet(),
            ),
            workers: (0..ranks).map(worker).collect(),
            outboxes: (0..ranks)
                .map(|rank| FakeOutbox::new(rank, ranks))
                .collect(),
            mpi: FakeMpi::default(),
            pick: Box::new(|_| 0),
            late: Box::new(|_| false),
            slow: None,
            statuses: vec![None; ranks],
            done: vec![0; ranks],
        }
    }

    /// Delivers messages in an order that the seed decides.
    pub(super) fn in_any_order(mut self, seed: u64) -> Self {
        let mut random = Random::stream(seed, 0);
        self.pick = Box::new(move |routes| (random.uniform_f64() * routes as f64) as usize);
        self
    }

    /// Delivers these messages, and what follows them on their routes, only when nothing else can happen.
    pub(super) fn late(mut self, late: impl Fn(&Delivery) -> bool + 'static) -> Self {
        self.late = Box::new(late);
        self
    }

    /// Lets a rank act only when the others have nothing to do.
    pub(super) fn slow(mut self, rank: usize) -> Self {
        self.slow = Some(rank);
        self
    }

    /// Lets this writer write what rank `rank` writes.
    pub(super) fn written_by(mut self, lab: &Lab, rank: usize, writer: Writer) -> Self {
        self.workers[rank] = Worker::with_writer(lab.pipelines(), one_thread(), writer);
        self
    }

    /// Tells rank 0 that a rank got signal 15.
    pub(super) fn signal(&mut self, rank: usize) {
        let signalled = Message::Reply(Reply::Signalled { signal: 15 });
        self.outboxes[rank].send(0, signalled);
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> Ended {
        self.run_until(|_| false);
        let status = self.statuses[0].expect("an end");
        assert!(self.statuses.iter().all(|found| *found == Some(status)));
        // As in a run: no writer may make a file again when the coordinator removes it.
        drop(self.workers);
        Ended {
            status,
            reports: self.coordinator.reports,
            done: self.done,
        }
    }

    /// Runs until a message that `stop` names has been handled, or to the end; returns whether there was such a message.
    pub(super) fn run_until(&mut self, stop: impl Fn(&Delivery) -> bool) -> bool {
        let mut idle = 0;
        while self.statuses.iter().any(Option::is_none) {
            self.coordinator.advance(&mut self.outboxes[0]);
            self.post();
            if let Some(delivery) = self.next_message(idle > PATIENCE) {
                let stops = stop(&delivery);
                self.handle(delivery);
                if stops {
                    return true;
                }
                idle = 0;
            } else if self.serve(idle > PATIENCE) {
                idle = 0;
            } else {
                idle += 1;
                assert!(idle < HANG, "the run hangs");
            }
        }
        false
    }

    fn post(&mut self) {
        for outbox in &mut self.outboxes {
            self.mpi.post(outbox);
        }
    }

    /// The next message; late ones, and those to the slow rank, only when nothing else can happen.
    fn next_message(&mut self, idle: bool) -> Option<Delivery> {
        let (late, slow) = (&self.late, self.slow);
        let may_go = |delivery: &Delivery| idle || slow != Some(delivery.to) && !late(delivery);
        self.mpi.deliver(may_go, &mut self.pick)
    }

    /// Lets each rank read, send and compute; returns whether one of them did. The slow rank does only when nothing else can happen.
    fn serve(&mut self, idle: bool) -> bool {
        let mut any = false;
        for rank in 0..self.workers.len() {
            if self.statuses[rank].is_some() || self.slow == Some(rank) && !idle {
                continue;
            }
            let (worker, outbox) = (&mut self.workers[rank], &mut self.outboxes[rank]);
            any |= worker.send_or_read(outbox);
            any |= worker.handle_results(outbox) || worker.wait_for_result(outbox, WAIT);
        }
        any
    }

    fn handle(&mut self, delivery: Delivery) {
        let Delivery { from, to, message } = delivery;
        if self.statuses[to].is_some() {
            return;
        }
        let outbox = &mut self.outboxes[to];
        match self.workers[to].handle(outbox, from, message) {
            Some(Message::Order(Order::Finish { status })) => {
                self.workers[to].sync_journals();
                self.statuses[to] = Some(status);
            }
            Some(Message::Reply(reply)) => {
                assert_eq!(to, 0, "replies go to rank 0");
                self.done[from] += usize::from(matches!(reply, Reply::Done { .. }));
                self.coordinator.on_reply(outbox, from, reply);
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

pub(super) fn one_thread() -> Workers {
    Workers::new(1).expect("a thread")
}
