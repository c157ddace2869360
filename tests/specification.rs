//! The specification and the rest of the repository name the same rules.
//!
//! - A rule that is cited anywhere is a rule of `docs/specification.md`. Citations are `rule 4.7`, `rules 5.1 and 5.2`, `rules 2.2 to 2.5`,
//!   and names such as `rule_4_3_ties_take_the_lower_level`.
//! - A rule that is not wholly to come is named by a test: by a function with `#[test]`, and without `#[ignore]`, whose name contains
//!   `rule_4_3`, or `rules_2_3_and_2_4` for several rules.
//!
//! Made-up texts write § for the word, so that they are no citations of their own.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

const SPECIFICATION: &str = "docs/specification.md";
/// Folders whose files may cite rules; the documents at the top of the repository are read, too.
const FOLDERS: [&str; 7] = [
    "src", "crates", "tests", "benches", "fuzz", "scripts", "docs",
];
/// Folders with tests.
const TEST_FOLDERS: [&str; 3] = ["src/", "crates/", "tests/"];
const TO_COME: &str = "*(to come)*";

#[test]
fn cited_rules_are_in_the_specification() {
    let rules = rules(&read_specification()).expect(SPECIFICATION);
    let files = files_of_the_repository();
    let cited: usize = files.iter().map(|file| citations(&file.text).len()).sum();
    assert!(
        cited > rules.len(),
        "only {cited} citations in {} files: the scan misses the sources",
        files.len()
    );
    expect_none(&unknown_citations(&rules, &files));
}

#[test]
fn rules_that_are_built_are_named_by_a_test() {
    let rules = rules(&read_specification()).expect(SPECIFICATION);
    expect_none(&rules_without_test(&rules, &files_of_the_repository()));
}

#[test]
fn what_is_not_built_is_marked_in_the_fixed_form() {
    expect_none(&misshapen_marks(&read_specification()));
}

fn read_specification() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SPECIFICATION);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn expect_none(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// The number of a rule: 4.7 is rule 7 of section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    section: u32,
    rule: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.section, self.rule)
    }
}

/// A rule of the specification.
#[derive(Debug, PartialEq)]
struct Rule {
    number: Number,
    /// Line of its heading, counted from 1.
    line: usize,
    /// All of it is still to be built.
    to_come: bool,
}

/// A text file of the repository.
struct SourceFile {
    /// Relative to the repository, with `/`.
    path: String,
    text: String,
}

/// The text files that may cite rules.
fn files_of_the_repository() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        // Some of them are not there in every state of the repository.
        if root.join(folder).is_dir() {
            collect(root, folder, &mut files);
        }
    }
    for entry in fs::read_dir(root).expect("the repository can be listed") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".md") {
            files.extend(text_file(root, &name));
        }
    }
    files
}

/// Adds the text files below `folder`, but for build outputs and hidden files. Links are not followed.
fn collect(root: &Path, folder: &str, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(root.join(folder)).expect("a folder can be listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().expect("the kind of an entry");
        let path = format!("{folder}/{name}");
        if name == "target" || name == "__pycache__" || name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, files);
        } else if kind.is_file() {
            files.extend(text_file(root, &path));
        }
    }
}

/// The file, if it is text in UTF-8, and if no other test has removed it meanwhile.
fn text_file(root: &Path, path: &str) -> Option<SourceFile> {
    let bytes = match fs::read(root.join(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        read => read.unwrap_or_else(|error| panic!("{path}: {error}")),
    };
    let text = String::from_utf8(bytes).ok()?;
    let path = path.to_string();
    Some(SourceFile { path, text })
}

/// The rules of a specification: headings `### 4.7 Agreement with CASCADE`, `### 2.5 *(to come)* Neurons without a position`.
///
/// # Errors
/// A heading of this level that is no rule, or a rule that stands twice or out of order.
fn rules(specification: &str) -> Result<Vec<Rule>, String> {
    let mut rules: Vec<Rule> = Vec::new();
    for (line, heading) in lines(specification) {
        let Some(heading) = heading.strip_prefix("### ") else {
            continue;
        };
        let (first, rest) = heading.split_once(' ').unwrap_or((heading, ""));
        let Some((number, "")) = number(first, '.') else {
            return Err(format!(
                "line {line}: \"### {heading}\" does not begin with the number of a rule"
            ));
        };
        if rules.last().is_some_and(|last| last.number >= number) {
            return Err(format!(
                "line {line}: {number} stands twice or out of order"
            ));
        }
        let to_come = rest.starts_with(TO_COME);
        rules.push(Rule {
            number,
            line,
            to_come,
        });
    }
    if rules.is_empty() {
        return Err("no rules: expected headings such as \"### 4.7 Agreement\"".to_string());
    }
    Ok(rules)
}

/// The lines of a text, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// The number at the beginning of a text, its parts divided by `divider`, and what follows. None for 4, 4.x, 1.2.3 and 0.95.
fn number(text: &str, divider: char) -> Option<(Number, &str)> {
    let (section, rest) = whole(text)?;
    let (rule, rest) = whole(rest.strip_prefix(divider)?)?;
    let mut after = rest.chars();
    let goes_on = after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit());
    (section > 0 && rule > 0 && !goes_on).then_some((Number { section, rule }, rest))
}

/// The one or two digits at the beginning of a text, and what follows.
fn whole(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(digits);
    (digits.len() <= 2).then_some(())?;
    Some((digits.parse().ok()?, rest))
}

/// The rules that a text cites, each with its line, counted from 1.
fn citations(text: &str) -> Vec<(usize, Number)> {
    const WORD: &str = "rule";
    let mut found = Vec::new();
    // Of the same length as the text.
    let lower = text.to_ascii_lowercase();
    for (start, _) in lower.match_indices(WORD) {
        if lower[..start].ends_with(|c: char| c.is_alphanumeric()) {
            continue;
        }
        let after = &lower[start + WORD.len()..];
        let (several, after) = match after.strip_prefix('s') {
            Some(after) => (true, after),
            None => (false, after),
        };
        for (numbers, rest) in cited(after, several) {
            let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
            found.extend(numbers.into_iter().map(|number| (line, number)));
        }
    }
    found
}

/// The numbers that follow the word, in `several` more than one, each with those of its range and with the text after it.
fn cited(after: &str, several: bool) -> Vec<(Vec<Number>, &str)> {
    let name = after.starts_with('_');
    let divider = if name { '_' } else { '.' };
    let next = |text| if name { link_of_name(text) } else { link(text) };
    let mut found: Vec<(Vec<Number>, &str)> = Vec::new();
    let Some((_, mut rest)) = next(after).filter(|(range, _)| !range) else {
        return found;
    };
    let mut range = false;
    while let Some((number, after)) = number(rest, divider) {
        let before = found.last().and_then(|(numbers, _)| numbers.last());
        let numbers = match before {
            Some(first) if range && first.section == number.section => (first.rule + 1
                ..=number.rule.max(first.rule + 1))
                .map(|rule| Number { rule, ..number })
                .collect(),
            _ => vec![number],
        };
        found.push((numbers, after));
        let Some((is_range, after)) = next(after).filter(|_| several) else {
            break;
        };
        (range, rest) = (is_range, after);
    }
    found
}

/// What may stand before a number in a sentence: spaces, one line break with the marks of a comment, a comma, a word. Returns whether
/// a range is meant, and what follows. None without a space.
fn link(text: &str) -> Option<(bool, &str)> {
    let spaces = |text| {
        let rest = str::trim_start_matches(text, [' ', '\t', '\r']);
        match rest.strip_prefix('\n') {
            Some(line) => line
                .trim_start_matches([' ', '\t'])
                .trim_start_matches(['/', '!', '#', '*', '>'])
                .trim_start_matches([' ', '\t']),
            None => rest,
        }
    };
    if let Some(rest) = text.strip_prefix('–') {
        return Some((true, rest));
    }
    let begin = text.strip_prefix(',').unwrap_or(text);
    let rest = spaces(begin);
    if rest.len() == begin.len() {
        return None;
    }
    for (word, range) in [("and", false), ("or", false), ("to", true)] {
        if let Some(after) = rest.strip_prefix(word)
            && spaces(after).len() < after.len()
        {
            return Some((range, spaces(after)));
        }
    }
    Some((false, rest))
}

/// What may stand before a number in a name.
fn link_of_name(text: &str) -> Option<(bool, &str)> {
    for (word, range) in [("_and_", false), ("_or_", false), ("_to_", true)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((range, rest));
        }
    }
    Some((false, text.strip_prefix('_')?))
}

/// The test functions of a Rust source that are run by default: line, counted from 1, and name.
fn test_functions(source: &str) -> Vec<(usize, &str)> {
    let mut functions = Vec::new();
    let (mut test, mut ignored) = (false, false);
    for (line, text) in lines(source) {
        let text = text.trim();
        if text.is_empty() || text.starts_with("//") {
            continue;
        }
        if text.starts_with("#[") {
            test |= text.starts_with("#[test]");
            ignored |= text.starts_with("#[ignore");
            if text.ends_with(']') {
                continue;
            }
        }
        if test
            && !ignored
            && let Some((_, rest)) = text.split_once("fn ")
        {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            functions.push((line, &rest[..end.unwrap_or(rest.len())]));
        }
        (test, ignored) = (false, false);
    }
    functions
}

/// Citations of rules that there are not, a line each.
fn unknown_citations(rules: &[Rule], files: &[SourceFile]) -> Vec<String> {
    let known: BTreeSet<Number> = rules.iter().map(|rule| rule.number).collect();
    let mut problems = Vec::new();
    for SourceFile { path, text } in files {
        for (line, number) in citations(text) {
            if !known.contains(&number) {
                problems.push(format!(
                    "{path}:{line}: cites rule {number}, which {SPECIFICATION} lacks: correct the number, or write the rule there"
                ));
            }
        }
    }
    problems
}

/// Rules that are built, at least in part, and that no test names, a line each.
fn rules_without_test(rules: &[Rule], files: &[SourceFile]) -> Vec<String> {
    let of_tests = files.iter().filter(|file| {
        file.path.ends_with(".rs")
            && TEST_FOLDERS
                .iter()
                .any(|folder| file.path.starts_with(folder))
    });
    let tested: BTreeSet<Number> = of_tests
        .flat_map(|file| test_functions(&file.text))
        .flat_map(|(_, name)| citations(name))
        .map(|(_, number)| number)
        .collect();
    let untested = rules
        .iter()
        .filter(|rule| !rule.to_come && !tested.contains(&rule.number));
    let problem = |Rule { number, line, .. }: &Rule| {
        let name = format!("rule_{}_{}", number.section, number.rule);
        format!(
            "{SPECIFICATION}:{line}: no test names rule {number}: put {name} into the name of the test function that shows it, or write \
             such a test; if nothing of the rule is built, mark it ### {number} {TO_COME}"
        )
    };
    untested.map(problem).collect()
}

/// Marks of what is not built that differ from `*(to come)*` after a number, `*(to come: …)*` and `*(today: …)*`, a line each.
fn misshapen_marks(specification: &str) -> Vec<String> {
    let mut problems = Vec::new();
    // Code has no marks, but shows how they look.
    let text = without_code(specification);
    for mark in ["(to come", "(today"] {
        for (start, _) in text.match_indices(mark) {
            let line = 1 + text[..start].matches('\n').count();
            let (before, after) = (&text[..start], &text[start + mark.len()..]);
            let paragraph = after.split("\n\n").next().unwrap_or_default();
            let heading = before.rsplit('\n').next().unwrap_or_default();
            let in_heading = heading.starts_with("### ");
            let is_whole = mark == "(to come" && after.starts_with(")* ");
            let is_part = after.starts_with(": ") && paragraph.contains(")*");
            let in_place = if in_heading {
                let number = heading.trim_start_matches("### ").trim_end_matches(" *");
                is_whole && number.chars().all(|c| c.is_ascii_digit() || c == '.')
            } else {
                is_part
            };
            if !before.ends_with('*') || !in_place {
                problems.push(format!(
                    "{SPECIFICATION}:{line}: \"{mark}\" is a mark of another form: write \"### 1.6 {TO_COME} Title\" for a whole rule, and \
                     \"*{mark}: …)*\" within one paragraph for a part"
                ));
            }
        }
    }
    problems
}

/// The text with a space for each character of code within a line.
fn without_code(text: &str) -> String {
    let mut code = false;
    text.chars()
        .map(|c| {
            code = match c {
                '`' => !code,
                '\n' => false,
                _ => code,
            };
            if code { ' ' } else { c }
        })
        .collect()
}

// ---- what the checks above see and do not see, shown on made-up texts

fn made_up(text: &str) -> String {
    text.replace('§', "rule")
}

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.to_string(),
        text: made_up(text),
    }
}

/// The citations of a made-up text as `line: number`.
fn cited_in(text: &str) -> Vec<String> {
    let text = made_up(text);
    let citations = citations(&text).into_iter();
    citations
        .map(|(line, number)| format!("{line}: {number}"))
        .collect()
}

const MADE_UP: &str = "# Title\n\n## 1. Section\n\n### 1.1 First\n\nText.\n\n### 1.2 *(to come)* Second\n\n### 1.10 Last\n";

#[test]
fn rules_are_headings_with_a_number() {
    let found = rules(MADE_UP).unwrap();
    let found: Vec<(String, usize, bool)> = found
        .iter()
        .map(|rule| (rule.number.to_string(), rule.line, rule.to_come))
        .collect();
    assert_eq!(
        found,
        [
            ("1.1".into(), 5, false),
            ("1.2".into(), 9, true),
            ("1.10".into(), 11, false)
        ]
    );
    // Only a mark after the number means the whole rule.
    assert!(!rules("### 1.1 First *(to come)*\n").unwrap()[0].to_come);
    for (specification, problem) in [
        ("", "no rules"),
        ("### Title\n", "does not begin with the number"),
        ("### 1.1. Title\n", "does not begin with the number"),
        (
            "### 1.2 A\n### 1.1 B\n",
            "line 2: 1.1 stands twice or out of order",
        ),
        (
            "### 1.1 A\n### 1.1 B\n",
            "line 2: 1.1 stands twice or out of order",
        ),
    ] {
        let error = rules(specification).unwrap_err();
        assert!(error.contains(problem), "{specification:?}: {error}");
    }
}

#[test]
fn citations_are_found_in_sentences_and_names() {
    for (text, expected) in [
        ("by § 4.7.", &["1: 4.7"][..]),
        ("(§ 8.10)", &["1: 8.10"]),
        ("§s 5.1 and 5.2", &["1: 5.1", "1: 5.2"]),
        ("§s 4.8, 4.5 and 4.6", &["1: 4.8", "1: 4.5", "1: 4.6"]),
        ("§s 2.2 to 2.5", &["1: 2.2", "1: 2.3", "1: 2.4", "1: 2.5"]),
        ("§s 2.2–2.4", &["1: 2.2", "1: 2.3", "1: 2.4"]),
        (
            "§s 2.1, 8.1 to 8.3",
            &["1: 2.1", "1: 8.1", "1: 8.2", "1: 8.3"],
        ),
        ("//! of §\n//! 8.7", &["2: 8.7"]),
        ("a\n/// (§s 2.3 and\n/// 2.4)", &["2: 2.3", "3: 2.4"]),
        ("fn §_4_3_ties() {}", &["1: 4.3"]),
        ("fn of_§_4_4() {}", &["1: 4.4"]),
        ("fn §_1_3_named_1_0_and_off() {}", &["1: 1.3"]),
        ("fn §s_3_4_and_8_6_hold() {}", &["1: 3.4", "1: 8.6"]),
        ("fn §_8_10_nwb() {}", &["1: 8.10"]),
        ("§s 2.2 to 2.1", &["1: 2.2", "1: 2.3"]),
    ] {
        assert_eq!(cited_in(text), expected, "{text}");
    }
    let capitals = made_up("§s 1.1 to 1.3").to_ascii_uppercase();
    assert_eq!(citations(&capitals).len(), 3);
}

#[test]
fn other_numbers_are_no_citations() {
    for text in [
        "§ 4 of them",
        "over§ 4.7",
        "§s of 4.7",
        "§r 4.7",
        "§ 0.95",
        "version § 1.2.3",
        "§\n\n4.7 seconds",
        "(4.7)",
        "§_of_4_7",
        "§4.7",
    ] {
        assert_eq!(cited_in(text), [""; 0], "{text}");
    }
    // One rule is one number.
    assert_eq!(cited_in("§ 4.3, 2.5 times"), ["1: 4.3"]);
}

#[test]
fn a_citation_of_no_rule_is_named_with_its_place() {
    let rules = rules(MADE_UP).unwrap();
    let files = [
        file("src/a.rs", "// § 1.1\n\n// § 99.9"),
        file("scripts/b.py", "# §s 1.1 to 1.3, §_1_10_x"),
    ];
    let problems = unknown_citations(&rules, &files);
    let starts: Vec<&str> = problems
        .iter()
        .map(|problem| problem.split_once(',').unwrap().0)
        .collect();
    let expected = ["src/a.rs:3: cites § 99.9", "scripts/b.py:1: cites § 1.3"].map(made_up);
    assert_eq!(starts, expected);
}

#[test]
fn test_functions_are_those_that_are_run() {
    let source = "#[test]\nfn a() {}\n\nfn b() {}\n#[test]\n/// Why.\n#[should_panic]\n    pub fn c<T>() {}\n#[test]\n#[ignore = \"slow\"]\nfn d() {}\n\
                  // #[test]\nfn e() {}\n#[cfg(unix)]\n#[test]\nfn f() {}\n#[test] fn g() {}\n#[test]\nconst H: u8 = 1;\nfn h() {}\n";
    let names: Vec<(usize, &str)> = test_functions(source);
    assert_eq!(names, [(2, "a"), (8, "c"), (16, "f"), (17, "g")]);
}

#[test]
fn a_rule_without_a_test_is_named() {
    let rules = rules(MADE_UP).unwrap();
    let test = |name: &str| format!("#[test]\nfn {name}() {{}}\n");
    let without = |files: &[SourceFile]| {
        let problems = rules_without_test(&rules, files);
        problems
            .iter()
            .map(|problem| problem.split(':').nth(1).unwrap().to_string())
            .collect::<Vec<_>>()
    };
    // Lines of the headings; the rule that is to come needs no test.
    assert_eq!(without(&[]), ["5", "11"]);
    assert_eq!(without(&[file("src/a.rs", &test("§_1_1_holds"))]), ["11"]);
    assert_eq!(
        without(&[file("crates/x/src/a.rs", &test("§s_1_1_and_1_10_hold"))]),
        [""; 0]
    );
    // No tests: a function of that name, a citation, a script, a benchmark.
    for other in [
        file("src/a.rs", "fn §_1_1_holds() {}\n"),
        file("src/a.rs", "/// § 1.1\n#[test]\nfn holds() {}\n"),
        file("tests/a.py", &test("§_1_1_holds")),
        file("benches/a.rs", &test("§_1_1_holds")),
    ] {
        assert_eq!(without(&[other]), ["5", "11"]);
    }
}

#[test]
fn marks_of_another_form_are_named() {
    for good in [
        MADE_UP,
        "A *(to come: b\nc)* d *(today: e (f) g)*.\n",
        "| *(to come: `x`)* |\n",
        "`(to come` is code\n",
    ] {
        assert_eq!(misshapen_marks(good), [""; 0], "{good}");
    }
    for bad in [
        "A (to come: b) c\n",
        "A *(to come: b\n\nc)* d\n",
        "A *(to come)* b\n",
        "A *(today)* b\n",
        "### 1.1 Title *(to come)* more\n",
        "### 1.1 *(to come: b)* Title\n",
    ] {
        assert_eq!(misshapen_marks(bad).len(), 1, "{bad}");
    }
}
