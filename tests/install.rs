//! What `make install` leaves: a folder that can be moved, with models, man pages and completions.

mod common;

use std::path::Path;
use std::process::Command;

use common::{PROGRAM, alone};

#[test]
fn an_installed_program_finds_its_models_wherever_it_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (first, moved) = (folder.path().join("first"), folder.path().join("moved"));
    let mut make = Command::new("make");
    // The program of this test instead of one that takes minutes to build.
    make.current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["install", "CARGO=true", &format!("PROGRAM={PROGRAM}")])
        .arg(format!("PREFIX={}", first.display()));
    common::finish(make).expect(0);
    std::fs::rename(&first, &moved).unwrap();

    let mut list = Command::new(moved.join("bin/spikegrid-mpi"));
    list.args(["models", "list"]).current_dir("/");
    let listed = common::finish(list).expect(0).stdout;
    assert!(listed.contains("Global_EXC_2Hz_smoothing500ms"), "{listed}");
    for file in [
        "man/man1/spikegrid-mpi.1",
        "man/man1/spikegrid-mpi-train.1",
        "bash-completion/completions/spikegrid-mpi",
        "zsh/site-functions/_spikegrid-mpi",
        "fish/vendor_completions.d/spikegrid-mpi.fish",
        "spikegrid-mpi/slurm/array.sbatch",
    ] {
        let length = std::fs::metadata(moved.join("share").join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 0), "no share/{file}");
    }
}

#[test]
fn man_pages_and_completions_spell_flags_as_the_help_does() {
    let folder = tempfile::tempdir().unwrap();
    alone(&["man", folder.path().to_str().unwrap()]).expect(0);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name));
    let main = page("spikegrid-mpi.1").unwrap().replace('\\', "");
    assert!(
        main.contains("--input_dir") && !main.contains("--input-dir"),
        "{main}"
    );
    assert!(page("spikegrid-mpi-combine.1").is_ok());
    assert!(page("spikegrid-mpi-untrained-model.1").is_err());

    let bash = alone(&["completions", "bash"]).expect(0).stdout;
    assert!(bash.contains("--cascade_model"), "{bash}");
    alone(&["completions", "tcsh"])
        .expect(2)
        .says(&["bash", "zsh", "fish"]);
    let nowhere = Path::new("/proc/nothing/here");
    alone(&["man", nowhere.to_str().unwrap()])
        .expect(2)
        .says(&["/proc/nothing/here: "]);
}
