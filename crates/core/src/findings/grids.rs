//! Findings about spikes that grids cannot show.

use super::results::unseen;
use super::{Code, Finding};

/// What is to be said of the `spikes` of a subject, all neurons and frames together, of which the grids do not show those `lost`
/// because another neuron of the plane has the pixel in that frame, and those `under_marker` (rule 9.3).
#[must_use]
pub fn of_grids(spikes: u64, lost: u64, under_marker: u64) -> Vec<Finding> {
    let collisions = unseen(
        Code::Collisions,
        lost,
        spikes,
        0.05,
        "lost in the grids, because another neuron of the plane has the pixel in that frame",
        "Use the spikes of --save_traces where each one counts. More planes share less: see --planes and --plane_step.",
    );
    let marker = unseen(
        Code::Marker,
        under_marker,
        spikes,
        0.01,
        "hidden in the grids by the marker, whose pixels are 1 in all frames",
        "Use the spikes of --save_traces where each one counts, or fewer planes with --planes or --plane_step, which make the \
             marker shorter.",
    );
    collisions.into_iter().chain(marker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;

    #[test]
    fn rule_9_3_spikes_that_a_grid_loses_are_a_note_until_they_are_many() {
        let found = |lost, under_marker| {
            let found = of_grids(1_000, lost, under_marker);
            found
                .iter()
                .map(|finding| (finding.code, finding.severity))
                .collect::<Vec<_>>()
        };
        let (note, warning) = (Severity::Note, Severity::Warning);
        assert_eq!(found(0, 0), []);
        assert_eq!(
            found(49, 9),
            [(Code::Collisions, note), (Code::Marker, note)]
        );
        assert_eq!(found(50, 0), [(Code::Collisions, warning)]);
        assert_eq!(found(0, 10), [(Code::Marker, warning)]);
        assert_eq!(
            found(49, 10),
            [(Code::Collisions, note), (Code::Marker, warning)]
        );
        assert_eq!(of_grids(0, 0, 0), []);
    }
}
