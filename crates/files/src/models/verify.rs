//! Everything that is wrong with a model folder, rather than the first thing.

use std::collections::BTreeMap;
use std::path::Path;

use spikegrid_core::cascade::config::ModelConfig;

use super::benchmark;
use super::error::ModelError;
use super::folder::{
    checksum, checksummed_files, io_error, member_files, parse_config, read_config, read_member,
    write_whole,
};

/// File with the checksums of a model folder, as `sha256sum` writes and checks it.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// What is wrong with the model folder `dir`, one line each: members that are missing, unreadable, not finite or
/// contradict `config.yaml`; a benchmark that is none; files that differ from [`CHECKSUMS`]; a name that contradicts the configuration.
pub fn problems(dir: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let config_path = dir.join("config.yaml");
    let config = read_config(&config_path).and_then(|text| parse_config(&text, &config_path));
    match config {
        Ok(config) => {
            // A link may have another name than its folder; of `.` and `..` the folder's counts.
            let whole = dir.canonicalize().ok();
            let name = dir
                .file_name()
                .or(whole.as_deref().and_then(Path::file_name));
            if let Some(name) = name {
                problems.extend(name_problems(&name.to_string_lossy(), &config));
            }
            if let Err(error) = member_problems(dir, &config, &mut problems) {
                problems.push(error.to_string());
            }
        }
        Err(error) => problems.push(error.to_string()),
    }
    if let Err(error) = benchmark::read(dir) {
        problems.push(error.to_string());
    }
    if let Err(error) = checksum_problems(dir, &mut problems) {
        problems.push(error.to_string());
    }
    problems
}

fn member_problems(
    dir: &Path,
    config: &ModelConfig,
    problems: &mut Vec<String>,
) -> Result<(), ModelError> {
    let found = member_files(dir)?;
    for &level in &config.noise_levels {
        let files = found.get(&level);
        for member in 0..config.ensemble_size.max(1) as u32 {
            if files.is_none_or(|files| !files.contains_key(&member)) {
                problems.push(format!(
                    "{}: noise level {level}: expected member {member} (ensemble_size is {}), found none",
                    dir.display(),
                    config.ensemble_size
                ));
            }
        }
        for (&member, name) in files.into_iter().flatten() {
            if config.ensemble_size > 0 && member as usize >= config.ensemble_size {
                problems.push(format!(
                    "{}: noise level {level}: expected {} members (ensemble_size), found {name} beside them",
                    dir.display(),
                    config.ensemble_size
                ));
            }
            if let Err(error) = read_member(&dir.join(name), config) {
                problems.push(error.to_string());
            }
        }
    }
    for level in found
        .keys()
        .filter(|level| !config.noise_levels.contains(level))
    {
        problems.push(format!(
            "{}: noise level {level} is not in config.yaml, but there are files of it",
            dir.display()
        ));
    }
    Ok(())
}

/// Writes the checksums of the model folder `dir`.
///
/// # Errors
/// A file can't be read or written.
pub fn write_checksums(dir: &Path) -> Result<(), ModelError> {
    let mut lines = String::new();
    for name in checksummed_files(dir)? {
        let sum = checksum(&dir.join(&name))?;
        lines.push_str(&format!("{sum}  {name}\n"));
    }
    write_whole(&dir.join(CHECKSUMS), lines.as_bytes())
}

/// The checksums of the files of the model folder `dir` as [`CHECKSUMS`] has them, by file name; None without it. Lines that
/// are none go to `problems`.
///
/// # Errors
/// The file can't be read.
pub fn expected_checksums(
    dir: &Path,
    problems: &mut Vec<String>,
) -> Result<Option<BTreeMap<String, String>>, ModelError> {
    let path = dir.join(CHECKSUMS);
    if !path.try_exists().map_err(io_error(&path))? {
        return Ok(None);
    }
    let mut expected = BTreeMap::new();
    for line in read_config(&path)?.lines() {
        match line.split_once("  ").or(line.split_once(" *")) {
            Some((sum, name)) if !name.contains('/') => {
                expected.insert(name.to_owned(), sum.to_owned());
            }
            _ => problems.push(format!(
                "{}: expected lines \"checksum  file\", found \"{line}\"",
                path.display()
            )),
        }
    }
    Ok(Some(expected))
}

fn checksum_problems(dir: &Path, problems: &mut Vec<String>) -> Result<(), ModelError> {
    let Some(mut expected) = expected_checksums(dir, problems)? else {
        return Ok(());
    };
    for name in checksummed_files(dir)? {
        let Some(sum) = expected.remove(name.as_str()) else {
            problems.push(format!(
                "{}: expected a line for {name}, found none",
                dir.join(CHECKSUMS).display()
            ));
            continue;
        };
        let found = checksum(&dir.join(&name))?;
        if found != sum {
            problems.push(format!(
                "{}: expected checksum {sum} ({CHECKSUMS}), found {found}",
                dir.join(name).display()
            ));
        }
    }
    for name in expected.into_keys() {
        problems.push(format!(
            "{}: expected the file that {CHECKSUMS} lists, found none",
            dir.join(name).display()
        ));
    }
    Ok(())
}

/// What the name of a folder says that the configuration contradicts: `…_7.5Hz_smoothing200ms_causalkernel`.
fn name_problems(name: &str, config: &ModelConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let mut differs = |key: &str, found: String| {
        problems.push(format!(
            "the name {name} contradicts config.yaml: {key} is {found}"
        ));
    };
    if !config.model_name.is_empty() && config.model_name != name {
        differs("model_name", config.model_name.clone());
    }
    let number = |word: &str, before: &str, after: &str| -> Option<f64> {
        word.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
    };
    let mut causal = false;
    for word in name.split('_') {
        if number(word, "", "Hz").is_some_and(|rate| rate != config.sampling_rate) {
            differs("sampling_rate", config.sampling_rate.to_string());
        }
        if number(word, "smoothing", "ms")
            .is_some_and(|ms| (ms - 1000.0 * config.smoothing).abs() > 0.5)
        {
            differs("smoothing", config.smoothing.to_string());
        }
        causal |= word == "causalkernel";
    }
    if name.contains("smoothing") && causal != (config.causal_kernel != 0) {
        differs("causal_kernel", config.causal_kernel.to_string());
    }
    problems
}
