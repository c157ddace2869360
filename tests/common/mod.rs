//! What the tests of the whole program share: demo data, an untrained model, and runs under a time limit.
#![allow(dead_code, unreachable_pub)]

pub mod undisturbed;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdf5::types::VarLenUnicode;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_spikegrid-mpi");
pub const MODEL: &str = "Untrained_2Hz_smoothing500ms";
const LIMIT: Duration = Duration::from_secs(180);

/// The outcome of a run: exit status, stdout, stderr.
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The run ended with this status.
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// stderr says all of these.
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no \"{word}\" in stderr:\n{}",
                self.stderr
            );
        }
        self
    }
}

/// A number that a script sets for the long form of a test.
pub fn setting(variable: &str, short: usize) -> usize {
    std::env::var(variable).map_or(short, |number| {
        number
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// Copies a folder and all that it holds.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Runs the program alone.
pub fn alone(arguments: &[&str]) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    finish(command)
}

/// The number of ranks of a test that asks for so many but is not about them: without MPI there is one.
pub fn available(ranks: usize) -> usize {
    if cfg!(feature = "mpi") { ranks } else { 1 }
}

/// Runs the program on some ranks, of those [`available`].
pub fn mpirun(ranks: usize, arguments: &[&str]) -> Run {
    finish(mpirun_command(ranks, arguments))
}

/// The `mpirun` of the MPI library that this test program is built with; `SPIKEGRID_TEST_MPIRUN` names another one.
pub fn launcher() -> String {
    std::env::var("SPIKEGRID_TEST_MPIRUN").unwrap_or_else(|_| "mpirun".into())
}

pub fn mpirun_command(ranks: usize, arguments: &[&str]) -> Command {
    let mut command = on_ranks(ranks, PROGRAM);
    command.args(arguments);
    command
}

/// A command that starts a program on some ranks, of those [`available`].
pub fn on_ranks(ranks: usize, program: &str) -> Command {
    if !cfg!(feature = "mpi") {
        return Command::new(program);
    }
    let mut command = with_mpi(Command::new(launcher()));
    command.args(["-n", &ranks.to_string(), program]);
    command
}

/// The command with what Open MPI needs in containers and on few cores.
pub fn with_mpi(mut command: Command) -> Command {
    for (name, value) in [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ("OMPI_MCA_hwloc_base_binding_policy", "none"),
        // The same for Open MPI 5.
        ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
        ("PRTE_MCA_hwloc_default_binding_policy", "none"),
    ] {
        command.env(name, value);
    }
    command
}

/// Runs a command to its end.
pub fn finish(command: Command) -> Run {
    Job::start(command).ends_within(LIMIT.as_secs())
}

/// A run that is under way.
pub struct Job {
    child: Child,
    what: String,
    out: File,
    err: File,
}

impl Job {
    pub fn start(command: Command) -> Self {
        Self::spawn(command, Stdio::null())
    }

    /// A run that listens to what [`tell`](Self::tell) says.
    pub fn listening(command: Command) -> Self {
        Self::spawn(command, Stdio::piped())
    }

    fn spawn(mut command: Command, input: Stdio) -> Self {
        let out = tempfile::tempfile().unwrap();
        let err = tempfile::tempfile().unwrap();
        command
            .env_remove("SPIKEGRID_MODEL_DIR")
            .stdin(input)
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap());
        Self {
            child: command.spawn().expect("the program can be started"),
            what: format!("{command:?}"),
            out,
            err,
        }
    }

    /// Says a line on the standard input.
    pub fn tell(&mut self, line: &str) {
        use std::io::Write;
        writeln!(self.child.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The process numbers of the ranks of an `mpirun`, in the order of ranks; or of the program itself.
    pub fn ranks(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut parents = BTreeMap::new();
        let mut ranks = Vec::new();
        for process in processes {
            let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // "pid (name) state parent …"; the name may hold anything.
            if let Some((start, rest)) = stat.rsplit_once(") ")
                && let Some((pid, name)) = start.split_once(" (")
                && let (Ok(pid), Some(Ok(parent))) = (
                    pid.parse::<u32>(),
                    rest.split(' ').nth(1).map(str::parse::<u32>),
                )
            {
                parents.insert(pid, parent);
                if name.starts_with("spikegrid-mpi") {
                    ranks.push(pid);
                }
            }
        }
        // Some launchers start ranks through a process of their own.
        let is_of_this_job = |rank: &u32| {
            let mut process = *rank;
            while process != self.child.id() {
                match parents.get(&process) {
                    Some(&parent) => process = parent,
                    None => return false,
                }
            }
            true
        };
        ranks.retain(is_of_this_job);
        ranks.sort_unstable();
        ranks
    }

    /// Sends a signal to the process that was started.
    pub fn signal(&self, signal: &str) {
        assert!(kill(signal, self.child.id()), "{} is gone", self.what);
    }

    pub fn ends_within(mut self, seconds: u64) -> Run {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed().as_secs() >= seconds {
                for rank in self.ranks() {
                    kill("KILL", rank);
                }
                let _ = self.child.kill();
                let said = text(self.err);
                panic!("{} hangs: not done after {seconds} s\n{said}", self.what);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Run {
            status: status.code().unwrap_or(-1),
            stdout: text(self.out),
            stderr: text(self.err),
        }
    }
}

/// Sends a signal to a process that may be gone; whether it was there.
pub fn kill(signal: &str, process: u32) -> bool {
    let mut command = Command::new("kill");
    command.args([&format!("-{signal}"), &process.to_string()]);
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn text(mut file: File) -> String {
    use std::io::{Read, Seek};
    let mut text = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// A folder with demo subjects and an untrained model, made once per test program.
pub struct Workbench {
    folder: tempfile::TempDir,
}

impl Workbench {
    pub fn get() -> &'static Self {
        static WORKBENCH: OnceLock<Workbench> = OnceLock::new();
        WORKBENCH.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
            let (raw, models) = (path("raw"), path("models"));
            demo_data(Path::new(&raw), 2, 90, 700);
            alone(&["untrained-model", "--output", &models]).expect(0);
            Workbench { folder }
        })
    }

    pub fn raw(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// Flags for a run on the demo subjects into `output`, with more flags.
    pub fn flags(&self, input: &Path, output: &Path, more: &[&str]) -> Vec<String> {
        let mut flags: Vec<String> = vec!["--input_dir".into(), input.to_str().unwrap().into()];
        flags.extend(["--output_dir".into(), output.to_str().unwrap().into()]);
        flags.extend(["--model_dir".into(), self.models().to_str().unwrap().into()]);
        flags.extend(["--cascade_model".into(), MODEL.into()]);
        flags.extend(more.iter().map(|flag| flag.to_string()));
        flags
    }

    /// A run on `input` into `output` on some ranks.
    pub fn run(&self, ranks: usize, input: &Path, output: &Path, more: &[&str]) -> Run {
        finish(self.mpirun(ranks, input, output, more))
    }

    pub fn mpirun(&self, ranks: usize, input: &Path, output: &Path, more: &[&str]) -> Command {
        let flags = self.flags(input, output, more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        mpirun_command(ranks, &flags)
    }
}

/// Makes demo subjects.
pub fn demo_data(folder: &Path, subjects: usize, neurons: usize, frames: usize) {
    let [subjects, neurons, frames] = [subjects, neurons, frames].map(|count| count.to_string());
    let counts = [
        "--subjects",
        &subjects,
        "--neurons",
        &neurons,
        "--frames",
        &frames,
    ];
    let output = ["--output", folder.to_str().unwrap()];
    alone(&[&["demo-data"], &counts[..], &output].concat()).expect(0);
}

/// `report.json` of an output folder.
pub fn report(output: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(output.join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The files of a folder that have their final name.
pub fn visible_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Every dataset of every HDF5 file of a folder and its subjects: type, shape and bytes.
pub fn datasets(folder: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "h5" || extension == "nwb")
            {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                collect(&hdf5::File::open(&path).unwrap(), &name, &mut all);
            }
        }
    }
    assert!(!all.is_empty());
    all
}

fn collect(
    group: &hdf5::Group,
    prefix: &str,
    all: &mut BTreeMap<String, (String, Vec<usize>, Vec<u8>)>,
) {
    for name in group.member_names().unwrap() {
        let path = format!("{prefix}:{name}");
        if let Ok(dataset) = group.dataset(&name) {
            let descriptor = dataset.dtype().unwrap().to_descriptor().unwrap();
            let bytes = match descriptor.to_string().as_str() {
                "uint8" => dataset.read_raw::<u8>().unwrap(),
                "int32" => dataset
                    .read_raw::<i32>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                "int64" => dataset
                    .read_raw::<i64>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                // Half precision becomes single without loss.
                "float16" | "float32" => dataset
                    .read_raw::<f32>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                "float64" => dataset
                    .read_raw::<f64>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                "uint32" => dataset
                    .read_raw::<u32>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                "unicode (var len)" => dataset
                    .read_raw::<VarLenUnicode>()
                    .unwrap()
                    .iter()
                    .flat_map(|text| text.bytes())
                    .collect(),
                _ if name == "voxel_mask" => dataset
                    .read_raw::<spikegrid_files::output::nwb::Voxel>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| [v.x, v.y, v.z, v.weight.to_bits()])
                    .flat_map(u32::to_le_bytes)
                    .collect(),
                other => panic!("{path} is {other}"),
            };
            all.insert(path, (descriptor.to_string(), dataset.shape(), bytes));
        } else {
            collect(&group.group(&name).unwrap(), &path, all);
        }
    }
}

/// The Python with NumPy, SciPy and h5py.
pub fn interpreter() -> String {
    std::env::var("SPIKEGRID_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Runs a Python script with NumPy and h5py; `SPIKEGRID_TEST_PYTHON` names the interpreter.
pub fn python(script: &str, arguments: &[&str]) {
    let interpreter = interpreter();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(&interpreter)
        .arg(&script)
        .args(arguments)
        .output()
        .expect("Python can be started");
    assert!(
        status.success(),
        "{interpreter} {} {arguments:?} (scripts/test.sh makes a Python with h5py and sets SPIKEGRID_TEST_PYTHON):\n{}{}",
        script.display(),
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
}

/// Says on the terminal, also where a passing test's own words are not shown, what could not be tested here.
pub fn not_run(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "NOT RUN: {what}");
}

/// The reference material, where it is at hand.
pub fn reference() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    if !path.is_dir() {
        not_run(&format!(
            "the checks against the reference material, which is not at {}",
            path.display()
        ));
        return None;
    }
    Some(path)
}

/// Copies a subject folder, to be damaged.
pub fn copy_subject(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["TimeSeries.h5", "data_full.mat"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
        let mut permissions = std::fs::metadata(to.join(name)).unwrap().permissions();
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        std::fs::set_permissions(to.join(name), permissions).unwrap();
    }
}
