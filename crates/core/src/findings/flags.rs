//! Findings about flags that change nothing in a recording.

use super::wording::{Scope, counted, hertz, rounded};
use super::{Code, Finding};

/// What is to be said of a recording with a rate in Hz of which gaps of at most `bridge_sec` seconds are bridged (rule 3.6): nothing
/// unless this is shorter than a frame. With 0 seconds, nobody wants gaps bridged.
#[must_use]
pub fn of_bridge(bridge_sec: f64, rate_hz: f64) -> Option<Finding> {
    let is_short = bridge_sec > 0.0 && bridge_sec * rate_hz < 1.0;
    // Rounded up to milliseconds, so that it is enough.
    let enough = (1000.0 / rate_hz).ceil() / 1000.0;
    is_short.then(|| {
        Finding::new(
            Code::NotBridged,
            format!(
                "--bridge_gaps {bridge_sec} is shorter than one frame, which lasts {} s at {}, so that no gap is bridged.",
                rounded(1.0 / rate_hz),
                hertz(rate_hz)
            ),
            format!("Use --bridge_gaps {enough} or more: {enough} s bridges gaps of one frame."),
        )
    })
}

/// What is to be said where no sample of `neurons` neurons has the value that --missing names.
pub(super) fn absent_value(scope: Scope, missing: f32, neurons: usize) -> Finding {
    let (advice, reach) = match scope {
        Scope::Recording => ("", ""),
        Scope::Excerpt => (
            " A run reads all samples and may find some.",
            " in the frames looked at",
        ),
    };
    Finding::new(
        Code::AbsentValue,
        format!(
            "--missing {missing} names a value that no sample of {}{reach} has.",
            counted(neurons, "neuron")
        ),
        format!(
            "Check the value if lost samples are marked in this recording: it is compared with samples as they are in the file, before \
             --scale.{advice}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;

    #[test]
    fn rule_3_6_a_bridge_shorter_than_a_frame_is_warned_of() {
        for (bridge_sec, rate_hz) in [(0.0, 2.0), (0.5, 2.0), (60.0, 0.1), (0.1, 10.0)] {
            assert_eq!(of_bridge(bridge_sec, rate_hz), None, "{bridge_sec}");
        }
        let found = of_bridge(0.49, 2.0).expect("a warning");
        assert_eq!(
            (found.code, found.severity),
            (Code::NotBridged, Severity::Warning)
        );
        assert_eq!(
            found.to_string(),
            "frames.not_bridged: --bridge_gaps 0.49 is shorter than one frame, which lasts 0.50 s at 2 Hz, so that no gap is bridged. Use \
             --bridge_gaps 0.5 or more: 0.5 s bridges gaps of one frame."
        );
        // What is advised helps.
        for rate_hz in [0.3, 1.84, 2.0, 2.564, 3.0, 7.5, 30.0] {
            let found = of_bridge(0.01, rate_hz).expect("a warning");
            let advised = found.advice.split(' ').nth(2).expect("seconds");
            let advised = advised.parse().expect("a number");
            assert_eq!(of_bridge(advised, rate_hz), None, "{found}");
        }
    }

    #[test]
    fn rule_3_6_a_value_that_no_sample_has_is_noted() {
        let found = absent_value(Scope::Recording, -1.0, 24);
        assert_eq!(found.severity, Severity::Note);
        assert_eq!(
            found.message,
            "--missing -1 names a value that no sample of 24 neurons has."
        );
        let found = absent_value(Scope::Excerpt, 0.5, 1);
        assert_eq!(
            found.message,
            "--missing 0.5 names a value that no sample of 1 neuron in the frames looked at has."
        );
        assert!(found.advice.ends_with("may find some."), "{found}");
    }
}
