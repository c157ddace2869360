//! A model folder, as CASCADE's authors distribute it, to a [`Model`] (rule 4.1).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use spikegrid_core::cascade::config::{ConfigProblem, ModelConfig};
use spikegrid_core::cascade::model::{Level, Model};
use spikegrid_core::cascade::weights::Weights;

use super::error::ModelError;
use super::verify::{CHECKSUMS, expected_checksums};
use super::{benchmark, keras, state_dict};
use crate::names;
use crate::regular;
use crate::signature;

/// Largest `config.yaml` that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Largest weight file that is read, in bytes: the largest network with its optimizer's state, and some.
const MAX_WEIGHT_BYTES: u64 = 64 << 20;

/// Reads the model folder `dir`: `config.yaml` and `Model_NoiseLevel_<n>_Ensemble_<k>` as `.h5`, `.pth` or `.safetensors`.
///
/// All files of a noise level are its members, in the order of `k`. Fewer members than `ensemble_size`, and files of noise
/// levels that the configuration does not list, are warnings.
///
/// # Errors
/// A file that can't be read, a configuration that makes no network, a noise level without a file, a member in two files,
/// weights that are missing, not finite, or contradict the configuration or the checksums, a `benchmark.tsv` that is none.
pub fn load(dir: &Path) -> Result<Model, ModelError> {
    let config_path = dir.join("config.yaml");
    let text = read_config(&config_path)?;
    let config = parse_config(&text, &config_path)?;
    let mut found = member_files(dir)?;
    let mut warnings = Vec::new();
    let mut checksums = BTreeMap::from([(
        "config.yaml".to_owned(),
        hex(&Sha256::digest(text.as_bytes())),
    )]);
    let mut levels = Vec::with_capacity(config.noise_levels.len());
    for &level in &config.noise_levels {
        let files = found.remove(&level).ok_or(ModelError::NoMember {
            folder: dir.into(),
            level,
        })?;
        if files.len() < config.ensemble_size {
            warnings.push(format!(
                "{}: noise level {level}: expected {} members (ensemble_size), found {}",
                dir.display(),
                config.ensemble_size,
                files.len()
            ));
        }
        let mut members = Vec::with_capacity(files.len());
        for name in files.into_values() {
            let path = dir.join(&name);
            checksums.insert(name, checksum(&path)?);
            members.push(read_member(&path, &config)?);
        }
        levels.push(Level {
            noise_level: level,
            members,
        });
    }
    for level in found.into_keys() {
        warnings.push(format!(
            "{}: noise level {level} is not in config.yaml: its files are not used",
            dir.display()
        ));
    }
    let expected = expected_checksums(dir, &mut warnings)?.unwrap_or_default();
    for (name, found) in &checksums {
        let path = dir.join(name);
        match expected.get(name) {
            Some(expected) if expected != found && *name == "config.yaml" => warnings.push(
                format!("{}: changed since {CHECKSUMS} was written", path.display()),
            ),
            Some(expected) if expected != found => {
                return Err(ModelError::Checksum {
                    path,
                    expected: expected.clone(),
                    found: found.clone(),
                });
            }
            _ => {}
        }
    }
    let lines: String = checksums
        .iter()
        .map(|(name, sum)| format!("{name}\0{sum}\n"))
        .collect();
    Ok(Model {
        config,
        levels,
        sha256: hex(&Sha256::digest(lines)),
        benchmark: benchmark::read(dir)?,
        warnings,
    })
}

/// Reads and checks the text of the configuration at `path`.
///
/// # Errors
/// [`ModelError::Config`] if the text is not a YAML mapping with the keys of [`ModelConfig`], [`ModelError::ConfigValue`] if a
/// value makes no network.
pub fn parse_config(text: &str, path: &Path) -> Result<ModelConfig, ModelError> {
    let config: ModelConfig = parse_yaml(text, path)?;
    let refused = |problem: ConfigProblem| ModelError::ConfigValue {
        path: path.into(),
        key: problem.key,
        expected: problem.expected,
        found: problem.found,
    };
    config.check().map_err(refused)?;
    Ok(config)
}

/// Reads some keys of the text of the configuration at `path`.
///
/// # Errors
/// [`ModelError::Config`] if the text is not a YAML mapping that has them.
pub fn parse_yaml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ModelError> {
    serde_saphyr::from_str(text).map_err(|error| ModelError::Config {
        path: path.into(),
        reason: one_line(&error.render_with_formatter(&serde_saphyr::UserMessageFormatter)),
    })
}

fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // The parser's limits are not told by name.
    let line = line.split(": limits breached").next().unwrap_or_default();
    line.chars().take(300).collect()
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
    move |source| ModelError::Io {
        path: path.into(),
        source,
    }
}

/// Reads the text of a `config.yaml` of at most a few MB.
///
/// # Errors
/// If it cannot be read, is too large or not UTF-8.
pub fn read_config(path: &Path) -> Result<String, ModelError> {
    let file = regular::open(path).map_err(io_error(path))?;
    check_size(path, &file, MAX_CONFIG_BYTES)?;
    io::read_to_string(file.take(MAX_CONFIG_BYTES)).map_err(io_error(path))
}

/// File names of the folder's members by noise level and number.
///
/// # Errors
/// The folder cannot be listed, or two files claim to be the same member.
pub fn member_files(dir: &Path) -> Result<BTreeMap<i32, BTreeMap<u32, String>>, ModelError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        names.extend(entry.map_err(io_error(dir))?.file_name().into_string());
    }
    names.sort_unstable();
    let mut levels: BTreeMap<i32, BTreeMap<u32, String>> = BTreeMap::new();
    for name in names {
        let Some((level, member)) = member_of(&name) else {
            continue;
        };
        let members = levels.entry(level).or_default();
        if let Some(first) = members.insert(member, name.clone()) {
            return Err(ModelError::MemberTwice {
                folder: dir.into(),
                level,
                member,
                first,
                second: name,
            });
        }
    }
    Ok(levels)
}

/// Writes a file that has its name only once it is complete.
///
/// # Errors
/// The file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let partial = names::partial(path);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // What can't be written is perhaps not there either.
        let _ = fs::remove_file(&partial);
        io_error(path)(source)
    })
}

/// Names of the configuration and of the members' files, sorted.
pub(super) fn checksummed_files(dir: &Path) -> Result<Vec<String>, ModelError> {
    let members = member_files(dir)?
        .into_values()
        .flat_map(BTreeMap::into_values);
    let mut names: Vec<String> = members.chain(["config.yaml".to_owned()]).collect();
    names.sort_unstable();
    Ok(names)
}

/// Name of the file of a member that this program writes.
pub fn member_name(level: i32, member: u32) -> String {
    format!("Model_NoiseLevel_{level}_Ensemble_{member}.safetensors")
}

/// Noise level and number of the member whose file is called `name`.
fn member_of(name: &str) -> Option<(i32, u32)> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !matches!(extension, "h5" | "pth" | "safetensors") {
        return None;
    }
    let (level, member) = stem
        .strip_prefix("Model_NoiseLevel_")?
        .split_once("_Ensemble_")?;
    Some((level.parse().ok()?, member.parse().ok()?))
}

/// Reads a member by the configuration beside it.
///
/// # Errors
/// That of the configuration or of the member.
pub(crate) fn read_weights(path: &Path) -> Result<Weights, ModelError> {
    let config_path = path.with_file_name("config.yaml");
    let config = parse_config(&read_config(&config_path)?, &config_path)?;
    read_member(path, &config)
}

/// Reads and checks the weights of one network, in the format that the file's name says.
///
/// # Errors
/// If the file cannot be read, is damaged, or contradicts the configuration.
pub fn read_member(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let format = path.extension().and_then(|extension| extension.to_str());
    // Weights are binary in any format. What is text, or empty, is left of a download.
    if let Some(found) = signature::text_instead_at(path) {
        let expected = match format {
            Some("h5") => keras::EXPECTED,
            Some("pth") => "a PyTorch state dictionary",
            _ => "a safetensors file",
        };
        let path = path.into();
        return Err(ModelError::Format {
            path,
            expected,
            found,
        });
    }
    match format {
        Some("h5") => keras::read(path, config),
        Some("pth") => state_dict::read_torch(path, config),
        _ => state_dict::read_safetensors(path, config),
    }
}

fn check_size(path: &Path, file: &File, limit: u64) -> Result<(), ModelError> {
    let found = file.metadata().map_err(io_error(path))?.len();
    if found > limit {
        return Err(ModelError::TooLarge {
            path: path.into(),
            limit,
            found,
        });
    }
    Ok(())
}

/// Hexadecimal SHA-256 of a weight file.
///
/// # Errors
/// The file cannot be read, or is longer than weights can be.
pub fn checksum(path: &Path) -> Result<String, ModelError> {
    let file = regular::open(path).map_err(io_error(path))?;
    check_size(path, &file, MAX_WEIGHT_BYTES)?;
    let mut bytes = Vec::new();
    file.take(MAX_WEIGHT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(io_error(path))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// Bytes in hexadecimal digits, as checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
