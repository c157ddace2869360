//! HDF5 files with single flipped bits and cut ones: an error or what the file says, never a panic or a hang. The HDF5
//! library itself crashes on some, so they are read in a child process: this test program, started again.
//! `SPIKEGRID_DAMAGE_STEP` is the distance in bytes between flips; `scripts/fault.sh` sets it to 1.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{PROGRAM, Workbench, alone, copy_subject, mpirun};
use hdf5::types::VarLenAscii;
use hdf5::{File, ObjectReference1};
use spikegrid_files::input::{self, Positions, Request, Subject};
use spikegrid_files::models;
use spikegrid_files::output::metadata::Metadata;
use spikegrid_files::output::traces::TracesFile;
use spikegrid_files::output::written::{PlaneInflater, Planes, Stored, WrittenFile};

const FRAMES: usize = 30;
const CELLS: usize = 4;
/// How long one file may take to be read.
const LIMIT: Duration = Duration::from_secs(10);

/// A kind of file: where it lies in the folder of its kind, what `spikegrid-mpi crash-trial` is told of it, and how it is
/// read. True: it was read; false: an error.
struct Kind {
    name: &'static str,
    file: &'static str,
    /// `FILE` in it stands for the path of the file.
    content: &'static str,
    make: fn(&Path),
    read: fn(&Path) -> bool,
}

impl Kind {
    const fn traces(name: &'static str, make: fn(&Path)) -> Self {
        Self {
            name,
            file: "subject_1/TimeSeries.h5",
            content: r#"{"Recording":{"TimeSeries":{"dataset":"CellResp"}}}"#,
            make,
            read: read_subject,
        }
    }
}

/// An element of a pixel mask.
#[derive(Clone, Copy, hdf5::H5Type)]
#[repr(C)]
struct Pixel {
    x: u32,
    y: u32,
    weight: f32,
}

const KINDS: [Kind; 12] = [
    Kind {
        name: "NWB",
        file: "subject_1/recording.nwb",
        content: r#"{"Recording":{"Recording":{"place":"FILE","request":{"cells":"iscell"}}}}"#,
        make: make_nwb,
        read: read_subject,
    },
    Kind::traces("traces, contiguous", |folder| {
        make_subject(folder, "compressed.mat", Layout::Contiguous)
    }),
    Kind::traces("traces, plain chunks", |folder| {
        make_subject(folder, "compressed.mat", Layout::Chunked)
    }),
    Kind::traces("traces, deflated chunks", |folder| {
        make_subject(folder, "compressed.mat", Layout::Deflated)
    }),
    Kind::traces("traces, virtual", |folder| {
        make_subject(folder, "compressed.mat", Layout::Virtual)
    }),
    Kind {
        name: "positions, 7.3",
        file: "subject_1/data_full.mat",
        content: r#"{"Recording":"DataFull"}"#,
        make: |folder| make_subject(folder, "v73.mat", Layout::Contiguous),
        read: read_subject,
    },
    Kind {
        name: "positions, 7.3 in cells",
        file: "subject_1/data_full.mat",
        content: r#"{"Recording":"DataFull"}"#,
        make: |folder| make_subject(folder, "v73_in_cells.mat", Layout::Contiguous),
        read: read_subject,
    },
    Kind {
        name: "weights, fixed names",
        file: "Model_NoiseLevel_2_Ensemble_0.h5",
        content: r#""Weights""#,
        make: |folder| make_model(folder, "Model_NoiseLevel_2_Ensemble_0.h5"),
        read: |folder| models::load(folder).is_ok(),
    },
    Kind {
        name: "weights, variable names",
        file: "Model_NoiseLevel_2_Ensemble_0.h5",
        content: r#""Weights""#,
        make: |folder| make_model(folder, "Model_NoiseLevel_5_Ensemble_1.h5"),
        read: |folder| models::load(folder).is_ok(),
    },
    Kind {
        name: "metadata.h5 of an earlier run",
        file: "metadata.h5",
        content: r#""Metadata""#,
        make: |folder| make_outputs(folder),
        read: |folder| Metadata::read(&folder.join("metadata.h5")).is_ok(),
    },
    Kind {
        name: "traces.h5 of an earlier run",
        file: "traces.h5",
        content: r#""Traces""#,
        make: |folder| make_outputs(folder),
        read: |folder| TracesFile::open(&folder.join("traces.h5"), FRAMES, CELLS).is_some(),
    },
    Kind {
        name: "grids to verify",
        file: "preaugmented_grids.h5",
        content: r#""Written""#,
        make: make_grids,
        read: read_grids,
    },
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// How traces are stored.
enum Layout {
    Contiguous,
    Chunked,
    Deflated,
    Virtual,
}

fn make_subject(folder: &Path, positions: &str, layout: Layout) {
    let subject = folder.join("subject_1");
    std::fs::create_dir(&subject).unwrap();
    let from = fixtures().join("mat").join(positions);
    std::fs::copy(from, subject.join("data_full.mat")).unwrap();
    let file = File::create(subject.join("TimeSeries.h5")).unwrap();
    let values: Vec<i16> = (0..).take(FRAMES * CELLS).collect();
    let shape = (FRAMES, CELLS);
    let dataset = file.new_dataset::<i16>().shape(shape);
    let is_virtual = matches!(layout, Layout::Virtual);
    let dataset = match layout {
        Layout::Contiguous => dataset,
        Layout::Chunked => dataset.chunk((8, 2)),
        Layout::Deflated => dataset.chunk((8, 2)).shuffle().deflate(1),
        Layout::Virtual => dataset.with_dcpl(|settings| {
            for plane in 0..2 {
                let (name, part) = (format!("plane{plane}.h5"), 2 * plane..2 * plane + 2);
                let source = File::create(subject.join(&name)).unwrap();
                let source = source.new_dataset::<i16>().shape((FRAMES, 2));
                source
                    .create("F")
                    .unwrap()
                    .write_raw(&values[..FRAMES * 2])
                    .unwrap();
                settings.virtual_map(name, "F", (FRAMES, 2), (.., ..), shape, (.., part));
            }
            settings
        }),
    };
    let dataset = dataset.create("CellResp").unwrap();
    if !is_virtual {
        dataset.write_raw(&values).unwrap();
    }
    let rows = file.new_dataset::<f64>().shape((1, CELLS)).create("absIX");
    rows.unwrap().write_raw(&[1.0, 3.0, 4.0, 6.0]).unwrap();
}

fn make_nwb(folder: &Path) {
    let subject = folder.join("subject_1");
    std::fs::create_dir(&subject).unwrap();
    let file = File::create(subject.join("recording.nwb")).unwrap();
    let class = |group: &hdf5::Group, class: &str| {
        let attribute = group.new_attr::<VarLenAscii>().create("neurodata_type");
        let class = VarLenAscii::from_ascii(class).unwrap();
        attribute.unwrap().write_scalar(&class).unwrap();
    };
    let numbers = |group: &hdf5::Group, name: &str, values: &[f64]| {
        let dataset = group.new_dataset_builder().with_data(values);
        dataset.create(name).unwrap()
    };
    let plane = file.create_group("general/plane").unwrap();
    numbers(&plane, "grid_spacing", &[2e-6, 3e-6]);
    let table = file.create_group("processing/ophys/table").unwrap();
    numbers(&table, "id", &[0.0; CELLS]);
    numbers(&table, "pixel_mask_index", &[1.0, 2.0, 3.0, 6.0]);
    let pixels = [2, 3, 5, 7, 11, 13].map(|x| Pixel {
        x,
        y: 2 * x,
        weight: 0.5,
    });
    let mask = table.new_dataset_builder().with_data(&pixels);
    mask.chunk(4).deflate(1).create("pixel_mask").unwrap();
    table.link_soft("/general/plane", "imaging_plane").unwrap();
    let container = file.create_group("processing/ophys/traces").unwrap();
    class(&container, "Fluorescence");
    let series = container.create_group("series").unwrap();
    class(&series, "RoiResponseSeries");
    let data = series.new_dataset::<i16>().shape((FRAMES, CELLS));
    let data = data.chunk((8, 2)).deflate(1).create("data").unwrap();
    let values: Vec<i16> = (0..).take(FRAMES * CELLS).collect();
    data.write_raw(&values).unwrap();
    data.new_attr::<f64>()
        .create("conversion")
        .unwrap()
        .write_scalar(&0.5)
        .unwrap();
    let times: Vec<f64> = (0..FRAMES).map(|frame| 0.5 * frame as f64).collect();
    numbers(&series, "timestamps", &times);
    let rois = numbers(&series, "rois", &[3.0, 1.0, 2.0, 0.0]);
    let reference: ObjectReference1 = file.reference("processing/ophys/table").unwrap();
    let attribute = rois.new_attr::<ObjectReference1>().create("table");
    attribute.unwrap().write_scalar(&reference).unwrap();
}

fn make_model(folder: &Path, member: &str) {
    let keras = fixtures().join("cascade/keras");
    let config = std::fs::read_to_string(keras.join("config.yaml")).unwrap();
    let config = config.replace("- 2\n- 5\nplaceholder_2", "- 2\nplaceholder_2");
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    std::fs::copy(
        keras.join(member),
        folder.join("Model_NoiseLevel_2_Ensemble_0.h5"),
    )
    .unwrap();
}

fn make_outputs(folder: &Path) {
    let metadata = Metadata {
        z_values: vec![1.0, 2.5],
        is_train: vec![1; FRAMES],
    };
    metadata.write(&folder.join("metadata.h5")).unwrap();
    TracesFile::create(
        &folder.join("traces.h5"),
        FRAMES,
        &Positions {
            xyz: vec![[0.0; 3]; CELLS],
            source_row: vec![0; CELLS],
            source_plane: None,
        },
    )
    .unwrap();
    for name in ["metadata.h5", "traces.h5"] {
        let partial = folder.join(format!(".{name}.partial"));
        std::fs::rename(partial, folder.join(name)).unwrap();
    }
}

fn make_grids(folder: &Path) {
    let file = File::create(folder.join("preaugmented_grids.h5")).unwrap();
    let seed = file.new_attr::<i64>().create("seed").unwrap();
    seed.write_scalar(&42).unwrap();
    let grids = file.new_dataset::<u8>().shape((FRAMES, 2, 256, 128));
    let grids = grids.chunk((1, 1, 256, 128)).deflate(1).create("grids");
    let pixels = vec![1_u8; FRAMES * 2 * 256 * 128];
    grids.unwrap().write_raw(&pixels).unwrap();
}

/// Reads grids as `verify` does.
fn read_grids(folder: &Path) -> bool {
    let read = || -> Result<bool, String> {
        let file = WrittenFile::open(&folder.join("preaugmented_grids.h5"))?;
        file.attribute("seed")?;
        let grids = file.dataset("grids")?;
        if grids.shape.len() != 4 || grids.shape[..2] != [FRAMES, 2] {
            return Ok(false);
        }
        let (mut bytes, mut pixels) = (Vec::new(), vec![0; 256 * 128]);
        let planes = Planes::of(&grids);
        for place in 0..FRAMES * 2 {
            bytes.clear();
            let stored = planes.append(place, &mut bytes)?;
            if stored != Stored::Deflated || !PlaneInflater::default().inflate(&bytes, &mut pixels)
            {
                return Ok(false);
            }
        }
        Ok(file.datasets()? == ["grids"])
    };
    read().unwrap_or(false)
}

/// Reads a subject as rank 0 and then all ranks do.
fn read_subject(folder: &Path) -> bool {
    let subject = Subject {
        name: "subject_1".into(),
        dir: folder.join("subject_1"),
    };
    let Ok(found) = input::open(&subject, &Request::default()) else {
        return false;
    };
    let (frames, neurons) = (found.frames(), found.neurons());
    assert_eq!(found.positions.xyz.len(), neurons);
    // As with --memory_limit, which ends a recording that claims to be too long.
    if frames > 1 << 20 {
        return false;
    }
    let reader = found.location.open();
    reader
        .and_then(|reader| reader.read_neurons(0..neurons))
        .is_ok()
}

/// The damaged versions of a file: cut ones, then ones with a flipped bit, `step` bytes apart.
fn damage(whole: &[u8], step: usize, number: usize) -> Option<(String, Vec<u8>)> {
    const CUT: usize = 256;
    let cuts = whole.len().div_ceil(CUT);
    if number < cuts {
        return Some((
            format!("cut to {}", number * CUT),
            whole[..number * CUT].to_vec(),
        ));
    }
    let (byte, bit) = ((number - cuts) * step, (number - cuts) * 5 % 8);
    let mut bytes = whole.to_vec();
    *bytes.get_mut(byte)? ^= 1 << bit;
    Some((format!("bit {bit} of byte {byte} flipped"), bytes))
}

fn step() -> usize {
    common::setting("SPIKEGRID_DAMAGE_STEP", 29)
}

/// The child's part: reads one damaged version after the other, saying which before and how it went after.
#[test]
fn child_reads_damaged_files() {
    let Ok(task) = std::env::var("SPIKEGRID_DAMAGED_CHILD") else {
        return;
    };
    let mut parts = task.splitn(3, ' ');
    let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
    let (kind, first) = (&KINDS[number()], number());
    let folder = PathBuf::from(parts.next().unwrap());
    let whole = std::fs::read(folder.join("whole")).unwrap();
    let place = folder.join("files").join(kind.file);
    let mut out = std::io::stdout();
    for number in first.. {
        let Some((_, bytes)) = damage(&whole, step(), number) else {
            break;
        };
        std::fs::write(&place, bytes).unwrap();
        writeln!(out, "reads {number}").unwrap();
        let read = (kind.read)(&folder.join("files"));
        writeln!(out, "{}", if read { "read" } else { "refused" }).unwrap();
    }
    writeln!(out, "all done").unwrap();
}

#[derive(Default)]
struct Outcome {
    read: usize,
    refused: usize,
    /// What the library did not survive, and how it ended.
    deadly: Vec<String>,
    /// How much of that the crash trial did not survive either.
    contained: usize,
}

/// Has a child read the damaged versions from number `first` on; the number after which it must be started again.
fn read_in_child(kind: usize, first: usize, folder: &Path, outcome: &mut Outcome) -> Option<usize> {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v 8000000; ulimit -c 0; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_reads_damaged_files",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(
            "SPIKEGRID_DAMAGED_CHILD",
            format!("{kind} {first} {}", folder.display()),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (send, receive) = channel();
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let (mut current, mut done, mut hangs) = (first, false, false);
    loop {
        match receive.recv_timeout(LIMIT) {
            Ok(line) => match line.as_str() {
                "read" => outcome.read += 1,
                "refused" => outcome.refused += 1,
                "all done" => done = true,
                line => {
                    // The harness begins the first line.
                    let number = line
                        .rsplit_once("reads ")
                        .and_then(|(_, number)| number.parse().ok());
                    current = number.unwrap_or(current);
                }
            },
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(_) => {
                hangs = true;
                child.kill().unwrap();
            }
        }
    }
    reader.join().unwrap();
    let output = child.wait_with_output().unwrap();
    if done {
        return None;
    }
    if current != first {
        // Perhaps a file before it damaged the library's memory: it is tried again in a new process.
        return Some(current);
    }
    let whole = std::fs::read(folder.join("whole")).unwrap();
    let (what, _) = damage(&whole, step(), current).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains("panicked") && !said.contains("memory allocation"),
        "{}: {what}: {said}",
        KINDS[kind].name
    );
    let end = match hangs {
        true => "does not come to an end".to_owned(),
        false => output.status.to_string(),
    };
    let place = folder.join("files").join(KINDS[kind].file);
    // A read beyond a buffer may crash here and not there: the library's memory lies otherwise in another process.
    let contained = hangs || !survives_trial(&place, KINDS[kind].content);
    outcome.contained += usize::from(contained);
    outcome.deadly.push(format!("{what}: {end}"));
    Some(current + 1)
}

/// Whether the process that a run starts to read a file first comes to an end of its own.
fn survives_trial(file: &Path, content: &str) -> bool {
    let mut child = Command::new(PROGRAM)
        .arg("crash-trial")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let content = content.replace("FILE", &file.display().to_string());
    let trials = format!("[[\"{}\",{content}]]", file.display());
    let mut input = child.stdin.take().unwrap();
    input.write_all(trials.as_bytes()).unwrap();
    drop(input);
    let code = child.wait().unwrap().code();
    assert_ne!(code, Some(2), "{trials} is not understood");
    code.is_some()
}

/// A program that is started gets the HDF5 files that another thread of this test has open, with their locks. So one test of these runs
/// at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn damaged_hdf5_files_are_refused_or_read_but_never_a_panic_or_a_hang() {
    let _alone = one_at_a_time();
    let (mut all_deadly, mut all_contained) = (0, 0);
    for (number, kind) in KINDS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir(&files).unwrap();
        (kind.make)(&files);
        assert!((kind.read)(&files), "{}: undamaged", kind.name);
        std::fs::copy(files.join(kind.file), folder.path().join("whole")).unwrap();
        let mut outcome = Outcome::default();
        let mut next = Some(0);
        while let Some(first) = next {
            next = read_in_child(number, first, folder.path(), &mut outcome);
        }
        let Outcome {
            read,
            refused,
            deadly,
            contained,
        } = outcome;
        all_deadly += deadly.len();
        all_contained += contained;
        println!(
            "{}: {read} read, {refused} refused, {} not survived, {contained} of them contained",
            kind.name,
            deadly.len()
        );
        deadly.iter().for_each(|crash| println!("    {crash}"));
        assert!(refused > 0 && read > 0, "{}", kind.name);
    }
    assert!(all_contained * 10 >= all_deadly * 9);
}

/// Files on which HDF5 1.10.8 crashes: a fixture with a flipped bit.
fn deadly(fixture: &str, byte: usize, bit: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(fixtures().join(fixture)).unwrap();
    bytes[byte] ^= 1 << bit;
    bytes
}

#[test]
fn a_file_that_the_library_does_not_survive_fails_its_subject_alone() {
    let _alone = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    let healthy = Workbench::get().raw().join("subject_1");
    for subject in ["subject_1", "subject_2"] {
        copy_subject(&healthy, &raw.join(subject));
    }
    let damaged = deadly("mat/v73_in_cells.mat", 3250, 2);
    std::fs::write(raw.join("subject_1/data_full.mat"), damaged).unwrap();
    let run = Workbench::get().run(2, &raw, &out, &[]).expect(1);
    assert!(run.stdout.contains("1 processed, 0 skipped, 1 failed"));
    run.says(&[
        "subject_1 failed",
        "data_full.mat",
        "copy or save the file again",
    ]);
    assert!(!out.join("subject_1").exists());
    assert!(out.join("subject_2/preaugmented_grids.h5").is_file());
}

#[test]
fn weights_that_the_library_does_not_survive_are_named_before_anything_starts() {
    let _alone = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("Tiny");
    std::fs::create_dir(&model).unwrap();
    let member = "Model_NoiseLevel_5_Ensemble_1.h5";
    make_model(&model, member);
    let damaged = deadly(&format!("cascade/keras/{member}"), 1014, 6);
    std::fs::write(model.join("Model_NoiseLevel_2_Ensemble_0.h5"), damaged).unwrap();
    let flags = Workbench::get().flags(&Workbench::get().raw(), &folder.path().join("out"), &[]);
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let place = flags
        .iter()
        .position(|flag| *flag == "--model_dir")
        .unwrap();
    flags[place + 1] = folder.path().to_str().unwrap();
    flags[place + 3] = "Tiny";
    let words = [
        "Model_NoiseLevel_2_Ensemble_0.h5",
        "the HDF5 library",
        "copy or save",
    ];
    mpirun(2, &flags).expect(2).says(&words);
    alone(&["models", "verify", model.to_str().unwrap()])
        .expect(1)
        .says(&words);
}
