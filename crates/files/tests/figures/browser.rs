//! How a browser shows the pages (rule 9.5): Chromium without a window, or what SPIKEGRID_TEST_BROWSER names.

use std::path::Path;
use std::process::Command;

use spikegrid_files::report::subject_page;

use crate::recording::{Recording, neuron};
use crate::report::run;

/// Measures each page in a frame of a phone's width and of a desk's, and writes a line about each.
const MEASURES: &str = r#"
function measure(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.4 * Math.min(a.height, b.height);
  const wrong = [];
  for (const svg of page.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    if (box.width == 0) continue;
    const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent);
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((a, i) => {
      if (a.left < box.left - 1 || a.right > box.right + 1 || a.top < box.top - 1 || a.bottom > box.bottom + 1)
        wrong.push("cut: " + texts[i].textContent);
      boxes.slice(i + 1).forEach((b, j) => {
        if (overlap(a, b)) wrong.push("overlap: " + texts[i].textContent + " | " + texts[i + 1 + j].textContent);
      });
    });
  }
  for (const badge of page.querySelectorAll(".badge")) {
    const [box, around] = [badge, badge.closest(".scroll, main")].map(element => element.getBoundingClientRect());
    if (box.left < around.left || box.right > around.right + 0.5) wrong.push("cut: " + badge.textContent);
  }
  for (const link of page.querySelectorAll("a[href^='#']")) {
    if (!page.getElementById(decodeURIComponent(link.hash.slice(1)))) wrong.push("leads nowhere: " + link.hash);
  }
  const smallest = Math.min(...[...page.querySelectorAll("svg text")].map(text => text.getBoundingClientRect().height).filter(h => h > 0));
  const color = view.getComputedStyle(page.body).backgroundColor;
  return [frame.dataset.name, "width", root.clientWidth, "scroll", root.scrollWidth,
    "verdict", Math.round(page.querySelector(".verdict").getBoundingClientRect().bottom),
    "paper", color.replaceAll(" ", ""), "loaded", view.performance.getEntriesByType("resource").length,
    "smallest", smallest.toFixed(1), "wrong", wrong.length, wrong.join("; ")].join(" ");
}
addEventListener("load", () => {
  const lines = [...document.querySelectorAll("iframe")].map(measure);
  document.body.innerHTML = "";
  document.body.append("BEGIN\n" + lines.join("\n") + "\nEND");
});
"#;

/// The name of the browser; says so where there is none.
fn browser() -> Option<String> {
    let named = std::env::var("SPIKEGRID_TEST_BROWSER").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let runs = |name: &String| Command::new(name).arg("--version").output().is_ok();
    let found = named.into_iter().chain(usual).find(runs);
    if found.is_none() {
        eprintln!(
            "NOT CHECKED: there is no browser: install chromium, or name one in SPIKEGRID_TEST_BROWSER"
        );
    }
    found
}

/// Starts the browser on a page of `folder`; gives what it writes.
fn visit(browser: &str, folder: &Path, page: &str, arguments: &[&str]) -> String {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let output = Command::new("timeout")
        .args([
            "120",
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
        ])
        .args([
            profile.as_str(),
            "--no-first-run",
            "--virtual-time-budget=20000",
        ])
        .args(arguments)
        .arg(format!("file://{}", folder.join(page).display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes all kinds of pages into `folder`; gives their names.
fn write_pages(folder: &Path) -> [&'static str; 4] {
    let write = |name, page| std::fs::write(folder.join(name), page).unwrap();
    let (warned, failed) = (Recording::with_warnings(), Recording::failed());
    let (good, neurons) = (
        Recording::new(100_000, 10_000, 1),
        [neuron(0, 3000), neuron(37, 3000)],
    );
    write("warned.html", subject_page(&warned.summary(), &neurons));
    write("failed.html", subject_page(&failed.summary(), &[]));
    write(
        "good.html",
        subject_page(&good.summary(), &[neuron(5, 10_000)]),
    );
    write("run.html", run());
    ["warned.html", "failed.html", "good.html", "run.html"]
}

/// The lines of the measures of all pages in frames of these widths.
fn measured(browser: &str, folder: &Path, widths: &[u32], arguments: &[&str]) -> Vec<String> {
    let pages = write_pages(folder);
    let frame = |page: &str, width: &u32| {
        format!(
            "<iframe src='{page}' data-name='{page}' style='border:0;width:{width}px;height:800px'></iframe>"
        )
    };
    let frames: String = pages
        .iter()
        .flat_map(|page| widths.iter().map(move |width| frame(page, width)))
        .collect();
    let wrapper = format!("<!DOCTYPE html><body>{frames}<script>{MEASURES}</script></body>");
    std::fs::write(folder.join("wrapper.html"), wrapper).unwrap();
    let dom = visit(
        browser,
        folder,
        "wrapper.html",
        &[&["--dump-dom"], arguments].concat(),
    );
    let lines: Vec<String> = dom.lines().map(str::to_owned).collect();
    let begin = lines
        .iter()
        .position(|line| line.ends_with("BEGIN"))
        .unwrap_or_else(|| panic!("{dom}"));
    lines[begin + 1..=begin + pages.len() * widths.len()].to_vec()
}

/// The word after `name`.
fn word<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(' ')
        .skip_while(|word| *word != name)
        .nth(1)
        .unwrap_or_default()
}

#[test]
fn rule_9_5_a_browser_shows_the_pages_on_a_phone_and_on_a_desk() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    for line in measured(
        &browser,
        folder.path(),
        &[320, 360, 390, 1100],
        &["--blink-settings=preferredColorScheme=1"],
    ) {
        println!("{line}");
        let number = |name| word(&line, name).parse::<f64>().unwrap();
        assert_eq!(
            number("scroll"),
            number("width"),
            "the page is as wide as the screen: {line}"
        );
        assert!(
            number("verdict") < 640.0,
            "the verdict is on the first screen: {line}"
        );
        assert!(
            number("smallest") >= 8.0,
            "text in figures can be read: {line}"
        );
        assert_eq!(number("loaded"), 0.0, "{line}");
        assert_eq!(
            number("wrong"),
            0.0,
            "nothing is cut or below another, and links lead somewhere: {line}"
        );
        assert_eq!(word(&line, "paper"), "rgb(255,255,255)");
    }
}

#[test]
fn rule_9_5_a_browser_that_prefers_dark_shows_dark_pages() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    for line in measured(
        &browser,
        folder.path(),
        &[800],
        &["--blink-settings=preferredColorScheme=0"],
    ) {
        assert_eq!(word(&line, "paper"), "rgb(22,24,27)", "{line}");
    }
}

#[test]
fn rule_9_5_a_browser_prints_the_pages() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    for page in write_pages(folder.path()) {
        let print = folder.path().join("print.pdf");
        let to = format!("--print-to-pdf={}", print.display());
        let dark = "--blink-settings=preferredColorScheme=0";
        visit(
            &browser,
            folder.path(),
            page,
            &[&to, dark, "--no-pdf-header-footer"],
        );
        match Command::new("pdftotext")
            .args(["-layout".as_ref(), print.as_os_str(), "-".as_ref()])
            .output()
        {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text.stdout).into_owned();
                let last = if page == "run.html" {
                    "What the run was"
                } else {
                    "How this subject was processed"
                };
                assert!(
                    text.contains(last) && text.contains("Made by spikegrid-mpi"),
                    "{page}: {text}"
                );
            }
            Err(_) => eprintln!("NOT CHECKED: pdftotext (poppler-utils) is not installed"),
        }
    }
}
