//! The page for users and the specification name the findings that the program makes, each once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use spikegrid_core::findings::Code;

const PAGE: &str = "docs/findings.md";
const SPECIFICATION: &str = "docs/specification.md";

#[test]
fn rule_9_3_each_code_has_one_section_of_the_page_for_users() {
    let page = read(PAGE);
    let sections: Vec<&str> = sections(&page).map(|(code, _)| code).collect();
    expect_each_code_once(PAGE, &sections);
}

#[test]
fn rule_9_3_each_section_says_meaning_reason_and_remedy() {
    let page = read(PAGE);
    for (code, text) in sections(&page) {
        let parts = [
            "\n- **What it means:** ",
            "\n- **Why it matters:** ",
            "\n- **What to do:** ",
        ];
        let places = parts.map(|part| {
            let times = text.matches(part).count();
            assert_eq!(times, 1, "{PAGE}, {code}: times that it says {part:?}");
            text.find(part)
        });
        assert!(
            places.is_sorted(),
            "{PAGE}, {code}: the parts are in another order"
        );
    }
}

#[test]
fn rule_9_3_links_within_the_page_lead_to_its_headings() {
    let page = read(PAGE);
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> = headings.map(anchor).collect();
    let links = page.split("](#").skip(1);
    let links: BTreeSet<&str> = links.filter_map(|rest| rest.split(')').next()).collect();
    for link in &links {
        assert!(anchors.contains(*link), "{PAGE}: no heading for #{link}");
    }
    for code in Code::ALL {
        let link = anchor(code.name());
        assert!(
            links.contains(&*link),
            "{PAGE}: {code} is not in the contents"
        );
    }
}

#[test]
fn rule_9_3_the_table_of_the_specification_has_each_code() {
    let specification = read(SPECIFICATION);
    let rule = specification.split("\n### 9.3 ").nth(1);
    let rule = rule.expect("rule 9.3").split("\n### ").next();
    let rows = rule.expect("its text").lines().filter_map(|line| {
        let first = line.strip_prefix("| `")?.split(" |").next()?;
        Some(first.trim_end_matches('`'))
    });
    let codes: Vec<&str> = rows.flat_map(|first| first.split("`, `")).collect();
    expect_each_code_once(SPECIFICATION, &codes);
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sections of third order, each with its code and its text.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n### ").skip(1).map(|section| {
        let section = section.split("\n## ").next().unwrap_or(section);
        let (heading, text) = section.split_once('\n').expect("a section with text");
        let code = heading.trim().trim_matches('`');
        assert_eq!(heading.trim(), format!("`{code}`"), "{PAGE}: a heading");
        (code, text)
    })
}

fn expect_each_code_once(file: &str, named: &[&str]) {
    let expected: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let found: BTreeSet<&str> = named.iter().copied().collect();
    let lacking: Vec<_> = expected.difference(&found).collect();
    let unknown: Vec<_> = found.difference(&expected).collect();
    assert!(lacking.is_empty(), "{file} lacks {lacking:?}");
    assert!(
        unknown.is_empty(),
        "{file} names codes that no finding has: {unknown:?}"
    );
    assert_eq!(named.len(), found.len(), "{file} names a code twice");
}

/// The anchor that a browser of repositories gives a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
