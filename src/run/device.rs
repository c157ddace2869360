//! Where each rank evaluates the network: on a GPU of its node, or on the CPU (`--device`).

use spikegrid_core::cascade::Model;
use spikegrid_inference::gpu::Gpu;
use spikegrid_ranks::OnNode;

use crate::settings::flags::Device;

/// The GPU that a rank uses, of `gpus` that the ranks of a node share round-robin, and how many ranks use it.
fn turn(place: OnNode, gpus: usize) -> (usize, usize) {
    let gpu = place.rank % gpus;
    (gpu, (gpu..place.ranks).step_by(gpus).len())
}

/// Opens a GPU if `--device` asks for one, with the run's only model if there is one, and says in words where the network will be evaluated.
///
/// # Errors
/// A GPU was asked for, and there is none that can be used.
pub fn open(
    device: Device,
    place: OnNode,
    model: Option<&Model>,
) -> Result<(Option<Gpu>, String), String> {
    if device == Device::Cpu {
        return Ok((None, "the CPU".into()));
    }
    let gpu = Gpu::count().and_then(|gpus| {
        let (ordinal, sharers) = turn(place, gpus);
        let mut gpu = Gpu::open(ordinal, sharers)?;
        if let Some(model) = model {
            gpu.load(0, model)?;
        }
        Ok(gpu)
    });
    match gpu {
        Ok(gpu) => {
            let name = gpu.name().to_string();
            Ok((Some(gpu), name))
        }
        Err(error) if device == Device::Auto => Ok((None, format!("the CPU: {error}"))),
        Err(error) => Err(format!(
            "--device cuda: {error}; use --device auto or cpu for the CPU"
        )),
    }
}

/// One line for each place where ranks compute, given that of each rank.
pub fn lines(places: &[String]) -> Vec<String> {
    let mut known: Vec<(&str, Vec<usize>)> = Vec::new();
    for (rank, place) in places.iter().enumerate() {
        match known.iter_mut().find(|(known, _)| known == place) {
            Some((_, ranks)) => ranks.push(rank),
            None => known.push((place, vec![rank])),
        }
    }
    known
        .iter()
        .map(|(place, ranks)| {
            let (rank, verb) = match ranks[..] {
                [_] => ("rank", "evaluates"),
                _ => ("ranks", "evaluate"),
            };
            format!("{rank} {} {verb} the network on {place}", ranges(ranks))
        })
        .collect()
}

/// Ascending numbers, those in a row as `first-last`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let text = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(usize::to_string).collect(),
    });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_one_place_share_a_line() {
        let places = [
            "GPU 0",
            "GPU 1",
            "GPU 0",
            "the CPU: no GPU",
            "the CPU: no GPU",
        ];
        assert_eq!(
            lines(&places.map(String::from)),
            [
                "ranks 0,2 evaluate the network on GPU 0",
                "rank 1 evaluates the network on GPU 1",
                "ranks 3-4 evaluate the network on the CPU: no GPU"
            ]
        );
    }

    #[test]
    fn gpus_are_assigned_round_robin_to_the_ranks_of_a_node() {
        let turns = |ranks, gpus| -> Vec<_> {
            let place = |rank| OnNode { rank, ranks };
            (0..ranks).map(|rank| turn(place(rank), gpus)).collect()
        };
        assert_eq!(turns(5, 2), [(0, 3), (1, 2), (0, 3), (1, 2), (0, 3)]);
        assert_eq!(turns(2, 4), [(0, 1), (1, 1)]);
        assert_eq!(turns(3, 1), [(0, 3); 3]);
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_gpu_support_auto_takes_the_cpu_and_says_why_and_cuda_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        spikegrid_files::models::untrained::write(folder.path(), 1).unwrap();
        let model = spikegrid_files::models::load(folder.path()).unwrap();
        let place = OnNode { rank: 0, ranks: 1 };
        let said =
            |device| open(device, place, Some(&model)).map(|(gpu, said)| (gpu.is_some(), said));
        assert_eq!(said(Device::Cpu), Ok((false, "the CPU".into())));
        let reason = "the CPU: this program was built without GPU support";
        assert_eq!(said(Device::Auto), Ok((false, reason.into())));
        assert!(said(Device::Cuda).is_err_and(|error| error.contains("without GPU support")));
    }

    #[test]
    fn long_lists_of_ranks_are_short() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
    }
}
