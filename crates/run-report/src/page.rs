//! The page: one HTML file with everything in it, which opens without a network.

use run_records::Run;

use crate::check::Finding;
use crate::names::FuncNames;

mod columns;
mod content;

const HTML: &str = include_str!("page/page.html");
/// The parts of the style, in order.
const STYLES: [&str; 2] = [include_str!("page/board.css"), include_str!("page/page.css")];
/// The parts of the one script, in order.
const SCRIPTS: [&str; 8] = [
    include_str!("page/data.js"),
    include_str!("page/lanes.js"),
    include_str!("page/timeline.js"),
    include_str!("page/tips.js"),
    include_str!("page/graph.js"),
    include_str!("page/sections.js"),
    include_str!("page/host.js"),
    include_str!("page/main.js"),
];

/// The page of a run. `findings` are what [`crate::check`] returned.
#[must_use]
pub fn page(run: &Run, title: &str, names: &FuncNames, findings: &[Finding]) -> String {
    let content = content::of(run, title, names, findings);
    // Inside of a script element, `<` could begin its end.
    let content = serde_json::to_string(&content).unwrap_or_default().replace('<', "\\u003c");
    let (style, script) = (STYLES.concat(), SCRIPTS.concat());
    let parts = [("TITLE", &*escape(title)), ("STYLE", &*style), ("CONTENT", &content), ("SCRIPT", &script)];
    fill(HTML, &parts)
}

/// Replaces each `{{NAME}}` of the template once; what is put in is not looked at again.
fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let mut page =
        String::with_capacity(parts.iter().map(|(_, text)| text.len()).sum::<usize>() + template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, behind) = behind.split_once("}}").unwrap_or((behind, ""));
        page.push_str(parts.iter().find(|(part, _)| *part == name).map_or("", |(_, text)| text));
        rest = behind;
    }
    page.push_str(rest);
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
