//! Array jobs: which subjects one task of a batch system's job array takes.
//!
//! Task `i` of `n` takes the subjects `i`, `i + n`, `i + 2 n`, … of those that are selected, so that neighbours, which
//! often have one size, are spread over the tasks.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const TASK: &str = "SLURM_ARRAY_TASK_ID";
const FIRST: &str = "SLURM_ARRAY_TASK_MIN";
const LAST: &str = "SLURM_ARRAY_TASK_MAX";
const COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
/// Slurm says 1 here for lists such as 3,7.
const STEP: &str = "SLURM_ARRAY_TASK_STEP";

/// Why it is not known which subjects are this task's.
#[derive(Debug, Error, PartialEq)]
pub enum ArrayError {
    #[error(
        "--array auto: the environment variable {variable} is {found}, expected {expected}. Slurm sets it in jobs that \
         are submitted with sbatch --array=1-N; elsewhere, say which task of how many this is: --array 3/18"
    )]
    Environment {
        variable: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error(
        "--array auto: this is task {task} of {count} from {first} to {last} in steps of {step}, which leaves holes, so \
         it cannot be told which subjects are whose. Submit the whole array again (complete subjects are skipped), or \
         say which task of how many this is: --array 3/18"
    )]
    Holes {
        task: u64,
        first: u64,
        last: u64,
        count: u64,
        step: u64,
    },
}

/// The value of `--array`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayFlag {
    /// Slurm's variables say which task this is.
    Auto,
    /// Task `task` of `tasks`, counted from 1.
    Task { task: u64, tasks: u64 },
}

impl std::fmt::Display for ArrayFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Task { task, tasks } => write!(f, "{task}/{tasks}"),
        }
    }
}

impl FromStr for ArrayFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let numbers = text.split_once('/').and_then(|(task, tasks)| {
            Some((task.trim().parse().ok()?, tasks.trim().parse().ok()?))
        });
        match numbers {
            Some((task, tasks)) if (1..=tasks).contains(&task) => Ok(Self::Task { task, tasks }),
            _ => Err(
                "expected auto, or I/N for task I of N, counted from 1, such as 3/18".to_string(),
            ),
        }
    }
}

/// One task of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayTask {
    /// The batch system's number of this task, which names its report.
    pub id: u64,
    /// Its place among the tasks, from 0.
    pub place: u64,
    pub tasks: u64,
}

impl ArrayTask {
    /// Which task this is; `variable` is the environment.
    ///
    /// # Errors
    /// Variables of the batch system are missing or do not fit together.
    pub fn resolve(
        flag: ArrayFlag,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ArrayError> {
        if let ArrayFlag::Task { task, tasks } = flag {
            return Ok(Self {
                id: task,
                place: task - 1,
                tasks,
            });
        }
        let number = |name: &'static str| -> Result<u64, ArrayError> {
            let value = variable(name);
            let parsed = value.as_deref().and_then(|text| text.trim().parse().ok());
            parsed.ok_or_else(|| ArrayError::Environment {
                variable: name,
                found: value.map_or("not set".to_string(), |value| format!("\"{value}\"")),
                expected: "a whole number",
            })
        };
        let (task, first, last) = (number(TASK)?, number(FIRST)?, number(LAST)?);
        let (count, step) = (number(COUNT)?, number(STEP)?);
        let place_of = |task: u64| match task.checked_sub(first)? {
            from if step > 0 && from % step == 0 => Some(from / step),
            _ => None,
        };
        let whole = place_of(last).is_some_and(|end| end.checked_add(1) == Some(count));
        let place = place_of(task).filter(|&place| whole && place < count);
        let place = place.ok_or(ArrayError::Holes {
            task,
            first,
            last,
            count,
            step,
        })?;
        Ok(Self {
            id: task,
            place,
            tasks: count,
        })
    }

    /// Those of all selected items that are this task's.
    pub fn share<T>(&self, all: Vec<T>) -> Vec<T> {
        let mine = |(index, item)| (index as u64 % self.tasks == self.place).then_some(item);
        all.into_iter().enumerate().filter_map(mine).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slurm(task: u64, range: (u64, u64, u64), count: u64) -> Result<ArrayTask, ArrayError> {
        let (first, last, step) = range;
        ArrayTask::resolve(ArrayFlag::Auto, |name| {
            let value = match name {
                TASK => task,
                FIRST => first,
                LAST => last,
                COUNT => count,
                STEP => step,
                _ => return None,
            };
            Some(value.to_string())
        })
    }

    #[test]
    fn tasks_of_any_first_number_and_step_take_each_subject_once() {
        for (first, step, count) in [
            (0, 1, 4),
            (1, 1, 4),
            (17, 1, 3),
            (0, 4, 5),
            (3, 7, 6),
            (9, 1, 1),
        ] {
            let last = first + step * (count - 1);
            let mut taken: Vec<u32> = Vec::new();
            for task in (first..=last).step_by(step as usize) {
                let task = slurm(task, (first, last, step), count).unwrap();
                taken.extend(task.share((0..10).collect()));
            }
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..10), "{first} {step} {count}");
        }
    }

    #[test]
    fn a_task_has_slurms_number_and_takes_every_nth_subject() {
        let task = slurm(12, (4, 16, 4), 4).unwrap();
        assert_eq!((task.id, task.place, task.tasks), (12, 2, 4));
        assert_eq!(task.share((0..11).collect()), [2, 6, 10]);
        assert!(task.share(vec![0, 1]).is_empty());
    }

    #[test]
    fn arrays_with_holes_are_refused() {
        for (task, range, count) in [
            (3, (3, 7, 1), 2),
            (9, (1, 9, 1), 3),
            (2, (0, 6, 3), 3),
            (9, (1, 8, 1), 8),
            (0, (1, 8, 1), 8),
            (1, (1, 1, 0), 1),
            (1, (1, 2, 1), 0),
            (1, (2, 1, 1), 2),
            (0, (0, u64::MAX, 1), 0),
        ] {
            let refused = slurm(task, range, count).unwrap_err();
            assert!(matches!(refused, ArrayError::Holes { .. }), "{refused}");
        }
    }

    #[test]
    fn missing_variables_are_named() {
        let none = ArrayTask::resolve(ArrayFlag::Auto, |_| None);
        let message = none.unwrap_err().to_string();
        assert!(
            message.contains("SLURM_ARRAY_TASK_ID is not set") && message.contains("--array 3/18"),
            "{message}"
        );
        let odd = ArrayTask::resolve(ArrayFlag::Auto, |name| {
            Some(if name == COUNT { "many" } else { "1" }.to_string())
        });
        assert!(
            odd.unwrap_err()
                .to_string()
                .contains("SLURM_ARRAY_TASK_COUNT is \"many\"")
        );
    }

    #[test]
    fn the_flag_counts_from_1() {
        assert_eq!("auto".parse(), Ok(ArrayFlag::Auto));
        let flag: ArrayFlag = "3/18".parse().unwrap();
        let task = ArrayTask::resolve(flag, |_| None).unwrap();
        assert_eq!((task.id, task.place, task.tasks), (3, 2, 18));
        for text in ["", "0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/4"] {
            assert!(text.parse::<ArrayFlag>().is_err(), "{text}");
        }
    }
}
