//! The attributes of a grids file (rule 8.1).

use serde_json::Value as Json;
use spikegrid_core::slab::Compression;
use spikegrid_files::output::written::Value;

use super::report::{Opened, Report};
use super::rules::{Cut, Missing};

/// What the attributes say that other checks need.
pub(super) struct Header {
    /// The subject's name, of which its spikes are seeded.
    pub subject: Option<String>,
    pub seed: Option<u32>,
    pub sampling_rate_hz: Option<f64>,
    pub split_ratio: Option<f64>,
    /// How z becomes planes.
    pub cut: Cut,
    /// How the grids are stored; none without a configuration.
    pub compression: Option<Compression>,
    /// What a NaN coordinate meant to the version that made the file.
    pub missing: Missing,
}

/// Checks the attributes of the grids of a subject, (T, Z, 256, 128).
pub(super) fn check(report: &mut Report, file: &Opened, subject: &str, shape: &[usize]) -> Header {
    for (name, expected) in [("num_timepoints", shape[0]), ("num_z_planes", shape[1])] {
        let expected = expected as i64;
        file.attribute(report, name, &expected.to_string(), |value| {
            (*value == Value::Integer(expected)).then_some(())
        });
    }
    let named = file.attribute(report, "subject", &format!("\"{subject}\""), |value| {
        text(value).filter(|name| name == subject)
    });
    // The name by which spikes were sampled, also where the folder has another.
    let named = named.or_else(|| text(&file.file.attribute("subject").ok()?));
    for name in ["cascade_model", "baseline", "threshold", "software_version"] {
        file.attribute(report, name, "text", text);
    }
    for name in ["sampling_rate", "window_sec"] {
        file.attribute(report, name, "a positive f64", |value| match value {
            Value::Float(value) => (*value > 0.0).then_some(()),
            _ => None,
        });
    }
    file.attribute(
        report,
        "percentile",
        "0 to 100, as i64 if whole, else f64",
        is_percentile,
    );
    file.attribute(report, "model_sha256", "64 hexadecimal digits", |value| {
        let text = text(value)?;
        (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
    });
    let seed = file.attribute(
        report,
        "seed",
        "an i64 from 0 to 2^32 - 1",
        |value| match value {
            Value::Integer(seed) => u32::try_from(*seed).ok(),
            _ => None,
        },
    );
    let split_ratio =
        file.attribute(
            report,
            "split_ratio",
            "an f64 from 0 to 1",
            |value| match value {
                Value::Float(ratio) => (0.0..=1.0).contains(ratio).then_some(*ratio),
                _ => None,
            },
        );
    let config = file.attribute(report, "config", "an object of JSON", |value| {
        let config: Json = serde_json::from_str(&text(value)?).ok()?;
        config.is_object().then_some(config)
    });
    let config = config.unwrap_or_default();
    check_config(report, file, &config);
    let sampling_rate_hz = match file.file.attribute("sampling_rate") {
        Ok(Value::Float(rate)) => Some(rate),
        _ => None,
    };
    Header {
        subject: named,
        seed,
        sampling_rate_hz,
        split_ratio,
        cut: cut(&config),
        compression: compression(&config),
        missing: missing(&config),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn is_percentile(value: &Value) -> Option<()> {
    let (value, in_type) = match value {
        Value::Integer(value) => (*value as f64, true),
        Value::Float(value) => (*value, value.fract() != 0.0),
        Value::Text(_) => return None,
    };
    (in_type && (0.0..=100.0).contains(&value)).then_some(())
}

/// Checks that the configuration says the same as the other attributes.
fn check_config(report: &mut Report, file: &Opened, config: &Json) {
    let names = [
        "cascade_model",
        "model_sha256",
        "sampling_rate",
        "window_sec",
        "percentile",
        "seed",
        "split_ratio",
    ];
    for name in names {
        let (Some(there), Ok(value)) = (config.get(name), file.file.attribute(name)) else {
            continue;
        };
        let same = match &value {
            Value::Text(text) => there.as_str() == Some(text),
            // JSON's text may cost a number its last bit.
            Value::Integer(number) => close(there.as_f64(), *number as f64),
            Value::Float(number) => close(there.as_f64(), *number),
        };
        if !same {
            let place = format!("{}: attribute config, {name}", file.name);
            report.difference(place, value, there, "rule 8.1");
        }
    }
}

fn close(there: Option<f64>, number: f64) -> bool {
    there.is_some_and(|there| (there - number).abs() <= 4.0 * f64::EPSILON * number.abs())
}

/// The planes that a configuration asks for (rule 7.4): numbers under the names of the flags, or `{"count": 12}` and `{"step": 2.5}`.
pub(super) fn cut(config: &Json) -> Cut {
    let planes = &config["planes"];
    let count = planes.as_u64().or(planes["count"].as_u64());
    let step = config["plane_step"].as_f64().or(planes["step"].as_f64());
    match (count, step) {
        (Some(count), _) => Cut::Count(count as usize),
        (None, Some(step)) => Cut::Step(step),
        (None, None) => Cut::Levels,
    }
}

/// How a configuration says that grids are stored (rule 8.8); before there was a choice, they were compressed.
fn compression(config: &Json) -> Option<Compression> {
    match config.as_object()?.get("compression") {
        None => Some(Compression::Gzip),
        Some(named) => Compression::ALL
            .into_iter()
            .find(|kind| named == kind.name()),
    }
}

/// Versions from before rule 2.5 have none of the settings that came with it.
fn missing(config: &Json) -> Missing {
    let came_with = ["planes", "plane_step", "missing", "bridge_gaps", "scale"];
    match came_with.iter().any(|name| config.get(name).is_some()) {
        true => Missing::NoPosition,
        false => Missing::Zero,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rule_9_6_planes_as_the_configuration_asks() {
        assert_eq!(cut(&json!({})), Cut::Levels);
        assert_eq!(
            cut(&json!({"planes": null, "plane_step": null})),
            Cut::Levels
        );
        assert_eq!(cut(&json!({"planes": 12})), Cut::Count(12));
        assert_eq!(cut(&json!({"plane_step": 2.5})), Cut::Step(2.5));
        assert_eq!(cut(&json!({"planes": "levels"})), Cut::Levels);
        assert_eq!(cut(&json!({"planes": {"count": 12}})), Cut::Count(12));
        assert_eq!(cut(&json!({"planes": {"step": 2.5}})), Cut::Step(2.5));
    }

    #[test]
    fn rule_9_6_grids_are_stored_as_the_configuration_says() {
        assert_eq!(
            compression(&json!({"compression": "none"})),
            Some(Compression::None)
        );
        assert_eq!(compression(&json!({"seed": 1})), Some(Compression::Gzip));
        assert_eq!(compression(&json!({"compression": "zip"})), None);
        assert_eq!(compression(&Json::Null), None);
    }

    #[test]
    fn rule_9_6_outputs_from_before_rule_2_5_are_told_apart() {
        assert_eq!(missing(&json!({"seed": 1})), Missing::Zero);
        assert_eq!(missing(&json!({"planes": null})), Missing::NoPosition);
    }

    #[test]
    fn rule_9_6_percentiles_are_integers_where_they_are_whole() {
        assert!(is_percentile(&Value::Integer(8)).is_some());
        assert!(is_percentile(&Value::Float(8.5)).is_some());
        assert!(is_percentile(&Value::Float(8.0)).is_none());
        assert!(is_percentile(&Value::Integer(101)).is_none());
    }
}
