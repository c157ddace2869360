//! The models of a run, as rank 0 knows them: the one that the user named, or those that `--cascade_model auto` has chosen for the
//! subjects so far (rule 4.9).

use std::error::Error;
use std::path::PathBuf;

use spikegrid_core::cascade::choice::InstalledModel;
use spikegrid_core::cascade::{Benchmark, Model, ModelConfig};
use spikegrid_core::findings::{self, Finding};
use spikegrid_files::{crash_trial, models};

use crate::settings::model_search::rated_models;

/// A model that was read.
pub(super) struct RunModel {
    /// What of it one chooses by.
    pub installed: InstalledModel,
    pub config: ModelConfig,
    pub sha256: String,
    pub benchmark: Option<Benchmark>,
    /// What the user should know about its folder, one line each.
    pub warnings: Vec<String>,
    /// Bytes of its weights on a rank.
    bytes: u64,
    /// The whole model, until a subject needs it on all ranks.
    unsent: Option<Box<Model>>,
}

impl RunModel {
    fn new(name: &str, model: &Model) -> Self {
        let members = model.levels.iter().flat_map(|level| &level.members);
        Self {
            installed: InstalledModel::new(name, &model.config),
            config: model.config.clone(),
            sha256: model.sha256.clone(),
            benchmark: model.benchmark.clone(),
            warnings: model.warnings.clone(),
            bytes: members.map(|weights| weights.bytes() as u64).sum(),
            unsent: None,
        }
    }
}

/// The models of a run.
pub(super) struct RunModels {
    /// The folders of the installed models.
    folders: Vec<PathBuf>,
    /// Those among which `--cascade_model auto` chooses; none where the user named a model.
    choice: Option<Vec<InstalledModel>>,
    /// By their numbers in the run.
    read: Vec<RunModel>,
}

impl RunModels {
    /// The models of a run with these installed ones: `named`, which all ranks have, or, without it, those that will be chosen.
    pub(super) fn new(named: Option<(&str, &Model)>, folders: Vec<PathBuf>) -> Self {
        Self {
            choice: named.is_none().then(|| rated_models(&folders)),
            read: named
                .map(|(name, model)| RunModel::new(name, model))
                .into_iter()
                .collect(),
            folders,
        }
    }

    /// The number of the model for a recording of this rate in Hz, None where neither the recording nor a flag states it, and what is to be
    /// said of that; a chosen model is read when a subject first needs it.
    ///
    /// # Errors
    /// The finding that no model suits the rate, or what is wrong with the one that does.
    pub(super) fn choose(
        &mut self,
        stated_hz: Option<f64>,
    ) -> Result<(usize, Option<Finding>), Box<dyn Error>> {
        let Some(choice) = &self.choice else {
            let named = &self.read[0].installed;
            let installed = || rated_models(&self.folders);
            return Ok((0, findings::of_rate(stated_hz, named, installed)));
        };
        let name = findings::choose_model(stated_hz, choice)?.name.clone();
        let known = self
            .read
            .iter()
            .position(|model| model.installed.name == name);
        let number = match known {
            Some(number) => number,
            None => self.read(&name)?,
        };
        Ok((number, None))
    }

    /// Reads an installed model; its number.
    fn read(&mut self, name: &str) -> Result<usize, Box<dyn Error>> {
        let is_named = |folder: &&PathBuf| folder.file_name().is_some_and(|found| found == name);
        let folder = self.folders.iter().find(is_named);
        let folder = folder.ok_or_else(|| format!("the model {name} is gone"))?;
        crash_trial::model(folder)?;
        let model = models::load(folder)?;
        self.read.push(RunModel {
            unsent: Some(Box::new(model.clone())),
            ..RunModel::new(name, &model)
        });
        Ok(self.read.len() - 1)
    }

    /// How many models were read.
    pub(super) fn count(&self) -> usize {
        self.read.len()
    }

    /// The model of this number.
    pub(super) fn get(&self, number: usize) -> &RunModel {
        &self.read[number]
    }

    /// The whole model of this number, the first time that all ranks need it.
    pub(super) fn take_unsent(&mut self, number: usize) -> Option<Box<Model>> {
        self.read[number].unsent.take()
    }

    /// What the user should know about the models that were chosen, one line each.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let chosen = self.read.iter().filter(|_| self.choice.is_some());
        chosen.flat_map(|model| model.warnings.clone())
    }

    /// Bytes that chosen models take on a rank, beside what is there before the first subject: those that were read, and one more, which
    /// the next subject may need before a rank has given up what it holds of this one. A model takes twice its weights while it arrives.
    pub(super) fn bytes(&self) -> u64 {
        match self.choice {
            None => 0,
            Some(_) => {
                let bytes = self.read.iter().map(|model| 2 * model.bytes);
                bytes.clone().sum::<u64>() + bytes.max().unwrap_or(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_core::cascade::weights::Weights;
    use spikegrid_files::models::untrained;

    use super::*;

    #[test]
    fn rule_4_9_a_chosen_model_is_read_and_sent_once_and_counts_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let folders = ["Global_EXC_2Hz", "Global_EXC_3Hz"].map(|name| folder.path().join(name));
        for (seed, folder) in folders.iter().enumerate() {
            std::fs::create_dir(folder).expect("a folder");
            untrained::write(folder, seed as u64).expect("a model");
        }
        let config = folders[1].join("config.yaml");
        let text = std::fs::read_to_string(&config).expect("a configuration");
        let at_3_hz = text.replace("sampling_rate: 2", "sampling_rate: 3");
        std::fs::write(&config, at_3_hz).expect("a configuration");

        let mut models = RunModels::new(None, folders.to_vec());
        assert_eq!(models.bytes(), 0);
        let mut choose = |rate| models.choose(Some(rate)).expect("a model");
        let numbers = [2.9, 2.0, 3.0, 2.1].map(|rate| choose(rate).0);
        assert_eq!(numbers, [0, 1, 0, 1]);
        assert_eq!(models.count(), 2);
        assert_eq!(models.get(0).installed.name, "Global_EXC_3Hz");
        let sent = [0, 0, 1, 1].map(|number| models.take_unsent(number).is_some());
        assert_eq!(sent, [true, false, true, false]);
        assert!(models.choose(Some(4.0)).is_err() && models.choose(None).is_err());

        let named = models::load(&folders[0]).expect("a model");
        let one: usize = named
            .levels
            .iter()
            .flat_map(|level| &level.members)
            .map(Weights::bytes)
            .sum();
        assert_eq!(models.bytes(), 6 * one as u64);
        let mut named = RunModels::new(Some(("Global_EXC_2Hz", &named)), folders.to_vec());
        assert_eq!(named.bytes(), 0);
        let (number, finding) = named.choose(Some(3.0)).expect("the named model");
        let finding = finding.expect("a warning").advice;
        assert!(
            number == 0 && finding.contains("Global_EXC_3Hz"),
            "{finding}"
        );
        assert!(named.take_unsent(0).is_none());
    }
}
