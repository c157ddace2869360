//! A model folder of one member.

use std::path::Path;
use std::sync::LazyLock;

use spikegrid_files::models;
use tempfile::TempDir;

const CONFIG: &str = "sampling_rate: 7.5\nnoise_levels: [2]\nsmoothing: 0.2\ncausal_kernel: 0\nwindowsize: 31\n\
    before_frac: 0.5\nfilter_sizes: [5, 3, 2]\nfilter_numbers: [3, 4, 5]\ndense_expansion: 2\nensemble_size: 1\n";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("config.yaml"), CONFIG).expect("a file");
    folder
});

/// Reads `bytes` as the only member, whose weights, if accepted, are finite.
pub fn load(extension: &str, bytes: &[u8]) {
    let folder: &Path = FOLDER.path();
    let name = format!("Model_NoiseLevel_2_Ensemble_0.{extension}");
    std::fs::write(folder.join(name), bytes).expect("a file");
    if let Ok(model) = models::load(folder) {
        let mut layers = model.levels[0].members[0].layers().iter();
        assert!(layers.all(|layer| layer.kernel.iter().all(|weight| weight.is_finite())));
    }
}
