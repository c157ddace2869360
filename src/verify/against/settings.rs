//! The attributes of two files, and of their configuration what decides results (rule 8.7).

use std::collections::BTreeSet;

use serde_json::Value as Json;
use spikegrid_files::output::written::Value;

use crate::verify::header::cut;
use crate::verify::report::{Opened, Report};

const SAME_SETTINGS: &str = "rule 8.7";
const SAME_BYTES: &str = "rule 8.6";
/// Settings that decide results and stand in the attribute `config` alone, with what an output that lacks them was made with.
const IN_CONFIG: [(&str, Option<f64>); 7] = [
    ("shift_frames", Some(0.0)),
    ("calcium_dataset", None),
    ("missing", None),
    ("bridge_gaps", Some(0.0)),
    ("scale", Some(1.0)),
    ("cells", None),
    ("neuropil_coefficient", None),
];

/// Compares the attributes that decide results: all but the version, and of the configuration what rule 8.7 names.
pub(super) fn compare_attributes(report: &mut Report, here: &Opened, other: &Opened, source: &str) {
    let names = [here, other].map(|file| file.file.attributes());
    for name in &of_either(names) {
        let [found, expected] = [here, other].map(|file| file.file.attribute(name));
        match name.as_str() {
            "software_version" => {}
            // Earlier versions read one form alone and did not note it.
            "source_format" if found.is_err() || expected.is_err() => {}
            "findings" => compare_findings(report, here, [found, expected], source),
            "config" => compare_configs(report, here, [found, expected].map(json), source),
            _ => {
                let [found, expected] = [found, expected].map(|value| match value {
                    Ok(Value::Text(text)) => format!("\"{}\"", kind_of(name, &text)),
                    Ok(value) => value.to_string(),
                    Err(reason) => reason,
                });
                if found != expected {
                    let place = format!("{}: attribute {name}", here.name);
                    let expected = format!("{expected}, as in {source}");
                    report.difference(place, expected, found, SAME_SETTINGS);
                }
            }
        }
    }
}

/// The names that are in one of two lists or in both.
fn of_either(names: [Result<Vec<String>, String>; 2]) -> BTreeSet<String> {
    names.into_iter().flatten().flatten().collect()
}

/// Compares the attributes of a group or dataset, but for identifiers, which follow from paths and version, too.
pub(super) fn compare_attributes_of(
    report: &mut Report,
    object: &str,
    here: &Opened,
    other: &Opened,
    source: &str,
) {
    let names = [here, other].map(|file| file.file.attributes_at(object));
    for name in of_either(names).iter().filter(|name| *name != "object_id") {
        let [found, expected] = [here, other].map(|file| {
            let value = file.file.attribute_at(object, name);
            value.map_or_else(|reason| reason, |value| value.to_string())
        });
        if found != expected {
            let place = format!("{}: {object}, attribute {name}", here.name);
            let expected = format!("{expected}, as in {source}");
            report.difference(place, expected, found, SAME_BYTES);
        }
    }
}

/// Compares what was found out about the recording, if both versions of the program noted it; words may differ.
fn compare_findings(
    report: &mut Report,
    here: &Opened,
    [found, expected]: [Result<Value, String>; 2],
    source: &str,
) {
    if let (Ok(_), Ok(_)) = (&found, &expected) {
        let [found, expected] = [found, expected].map(|value| findings_text(&json(value)));
        if found != expected {
            let place = format!("{}: attribute findings", here.name);
            let expected = format!("{expected}, as in {source}");
            report.difference(place, expected, found, "rule 9.1");
        }
    }
}

/// Findings in short: `frames.blank (0 neurons, 6 frames, share 0.01)`.
fn findings_text(findings: &Json) -> String {
    let short = |finding: &Json| {
        let code = finding["code"].as_str().unwrap_or("no code");
        let [neurons, frames, share] = ["neurons", "frames", "share"].map(|name| &finding[name]);
        format!("{code} ({neurons} neurons, {frames} frames, share {share})")
    };
    let each: Vec<String> = findings
        .as_array()
        .into_iter()
        .flatten()
        .map(short)
        .collect();
    match each.is_empty() {
        true => "no findings".into(),
        false => each.join(", "),
    }
}

/// Of the baseline the kind counts, not who chose it: `subtract (auto)` is `subtract`.
fn kind_of<'a>(name: &str, text: &'a str) -> &'a str {
    match name {
        "baseline" => text.strip_suffix(" (auto)").unwrap_or(text),
        _ => text,
    }
}

fn json(value: Result<Value, String>) -> Json {
    match value {
        Ok(Value::Text(text)) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Json::Null,
    }
}

fn compare_configs(report: &mut Report, here: &Opened, [found, expected]: [Json; 2], source: &str) {
    for (name, default) in IN_CONFIG {
        let [found, expected] = [&found, &expected].map(|config| match &config[name] {
            Json::Null => default.map_or(Json::Null, Json::from),
            number if number.is_number() => Json::from(number.as_f64()),
            value => value.clone(),
        });
        if found != expected {
            let place = format!("{}: attribute config, {name}", here.name);
            let expected = format!("{expected}, as in {source}");
            report.difference(place, expected, found, SAME_SETTINGS);
        }
    }
    let [cut_found, cut_expected] = [&found, &expected].map(cut);
    if cut_found != cut_expected {
        let place = format!("{}: attribute config, planes", here.name);
        let expected = format!("{cut_expected}, as in {source}");
        report.difference(place, expected, cut_found, SAME_SETTINGS);
    }
    let mut times = false;
    for (path, found, expected) in leaves(&found["input"], &expected["input"]) {
        if path.ends_with("modified_ns") {
            times = true;
            continue;
        }
        let place = format!("{}: attribute config, input{path}", here.name);
        let expected = format!("{expected}, as in {source}");
        report.difference(place, expected, found, SAME_SETTINGS);
    }
    if times {
        report.say(format_args!(
            "{}: note: the input files have other modification times than in {source}, as copies have; that is no difference",
            here.name
        ));
    }
}

/// The leaves in which two values differ, with their paths: `.time_series.size`.
fn leaves(found: &Json, expected: &Json) -> Vec<(String, Json, Json)> {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => {
            let mut names: Vec<&String> = found.keys().chain(expected.keys()).collect();
            names.sort();
            names.dedup();
            let of_name = |name: &String| {
                let [found, expected] =
                    [found, expected].map(|map| map.get(name).unwrap_or(&Json::Null));
                let inner = leaves(found, expected);
                let named = inner.into_iter();
                named
                    .map(|(path, a, b)| (format!(".{name}{path}"), a, b))
                    .collect::<Vec<_>>()
            };
            names.into_iter().flat_map(of_name).collect()
        }
        _ if found == expected => Vec::new(),
        _ => vec![(String::new(), found.clone(), expected.clone())],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rule_9_6_of_the_input_the_leaves_that_differ_are_named() {
        let of = |size, modified| json!({"time_series": {"size": size, "modified_ns": modified}});
        assert_eq!(leaves(&of(1, 2), &of(1, 2)), []);
        let found = leaves(&of(1, 2), &of(3, 4));
        let paths: Vec<&str> = found.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, [".time_series.modified_ns", ".time_series.size"]);
        assert_eq!(leaves(&of(1, 2), &json!({})).len(), 1);
    }

    #[test]
    fn rule_9_6_findings_are_compared_without_their_words() {
        let finding = |message: &str| {
            let code = "frames.blank";
            json!([{"code": code, "neurons": 0, "frames": 6, "share": 0.01, "message": message}])
        };
        let text = findings_text(&finding("a"));
        assert_eq!(text, "frames.blank (0 neurons, 6 frames, share 0.01)");
        assert_eq!(text, findings_text(&finding("b")));
        assert_eq!(findings_text(&json!([])), "no findings");
    }

    #[test]
    fn rule_9_6_of_the_baseline_the_kind_counts() {
        assert_eq!(kind_of("baseline", "subtract (auto)"), "subtract");
        assert_eq!(kind_of("subject", "a (auto)"), "a (auto)");
    }
}
