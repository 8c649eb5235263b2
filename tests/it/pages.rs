//! The README and the pages, except their commands: experiment files are read, links lead somewhere,
//! options exist, and code is that of the project.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::markdown::{pages, root, Page};
use crate::common::{files, Place};

/// First lines of TOML blocks that are no experiment, and what they are.
const NO_EXPERIMENT: &[(&str, &str)] = &[(
    "command = \"mdn compare first.toml --threads 1\"",
    "the record of a run",
)];

/// Fails once, with all faults.
#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_experiment_is_read_whole_or_as_a_part_of_one() {
    let place = Place::new();
    for file in files(&root().join("datasets")) {
        let name = file.strip_prefix(root()).expect("below the project");
        place.write(
            &name.to_string_lossy(),
            std::fs::read(&file).expect("a file"),
        );
    }
    let (mut faults, mut seen, mut other) = (Vec::new(), 0, Vec::new());
    for page in pages() {
        for block in page.blocks_in("toml") {
            let first = block.lines().next().unwrap_or_default();
            if NO_EXPERIMENT.iter().any(|n| n.0 == first) {
                other.push(first.to_owned());
                continue;
            }
            seen += 1;
            let lines = format!("\n{block}");
            let lacks =
                |tables: &[&str]| !tables.iter().any(|t| lines.contains(&format!("\n[{t}.")));
            let mut text = block.to_owned();
            if lacks(&["data", "problems"]) {
                text += "\n[data.ring]\nring = {}\n";
            }
            if lacks(&["models"]) {
                text += "\n[models.plain.flow]\n";
            }
            place.write("experiments/part.toml", &text);
            let said = place.mdn("check experiments/part.toml");
            if said.code != 0 {
                faults.push(format!("{}: {first}: {}", page.name, said.err));
            }
        }
    }
    none(&faults);
    assert!(seen > 15, "{seen}");
    assert_eq!(other.len(), NO_EXPERIMENT.len(), "{other:?}");
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let pages = pages();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for page in &pages {
        let folder = Path::new(&page.name).parent().expect("a folder");
        for link in page.links.iter().filter(|l| !l.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let mut at = match file {
                "" => root().join(&page.name),
                _ => root().join(folder).join(file),
            };
            let there = at.exists();
            at = at.canonicalize().unwrap_or(at);
            let target = pages
                .iter()
                .find(|p| root().join(&p.name).canonicalize().is_ok_and(|p| p == at));
            let heading = match target {
                Some(target) => target.anchors.iter().any(|a| a == anchor),
                None => false,
            };
            if !there || !(anchor.is_empty() || heading) {
                faults.push(format!("{}: {link}", page.name));
            }
        }
    }
    none(&faults);
    assert!(seen > 100, "{seen}");
}

/// The code of a page, line by line.
fn code(page: &Page) -> impl Iterator<Item = &str> {
    let blocks = page.blocks.iter().filter(|b| b.language != "rust");
    let lines = blocks.flat_map(|b| b.text.lines());
    lines.chain(page.spans.iter().map(String::as_str))
}

#[test]
fn every_verb_and_option_of_mdn_that_is_named_is_in_its_help() {
    let place = Place::new();
    let verbs = place.ok("--help");
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for text in code(&page) {
            for call in text.split("mdn ").skip(1) {
                let end = call.find(['|', ';', '&', '#']).unwrap_or(call.len());
                let mut words = call[..end].split_whitespace().skip_while(|w| *w == "-q");
                let Some(verb) = words.next() else { continue };
                // A version, a placeholder, a sentence.
                if !verb.chars().all(|c| c.is_ascii_lowercase()) {
                    continue;
                }
                if !verbs.contains(&format!("\n  {verb} ")) {
                    faults.push(format!("{}: no verb: {text}", page.name));
                    continue;
                }
                let help = helps
                    .entry(verb.to_owned())
                    .or_insert_with(|| place.ok(&format!("{verb} --help")));
                for word in words.filter(|w| w.starts_with("--")) {
                    seen += 1;
                    let named = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
                    let option = word.split(named).next().unwrap_or_default();
                    if !help.split(named).any(|w| w == option) {
                        faults.push(format!("{}: no {option}: {text}", page.name));
                    }
                }
            }
        }
    }
    none(&faults);
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_file_of_the_project_that_is_named_is_there() {
    let members = files(&root().join("docs/members"));
    let stems: Vec<_> = members.iter().filter_map(|f| f.file_stem()).collect();
    let (mut faults, mut seen) = (Vec::new(), 0);
    // The change log may name files that are gone.
    for page in pages().iter().filter(|p| p.name != "CHANGELOG.md") {
        for text in code(page) {
            for word in text.split([' ', '\'', '"', ',']) {
                let folder = word.split_once('/').map_or("", |w| w.0);
                let ours = "experiments scripts src crates tests docs datasets fuzz";
                let plain =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_.-".contains(c);
                if !ours.split(' ').any(|f| f == folder) || !word.chars().all(plain) {
                    continue;
                }
                seen += 1;
                let stem = Path::new(word).file_stem();
                let to_come = page.name.starts_with("docs/extending")
                    && stems.iter().any(|s| Some(*s) == stem);
                if !root().join(word).exists() && !to_come {
                    faults.push(format!("{}: {word}", page.name));
                }
            }
        }
    }
    none(&faults);
    assert!(seen > 60, "{seen}");
}

/// The members of docs/extending.md are files that the laws test; Rust code lives there and in the sources,
/// never on a page.
#[test]
fn every_member_is_linked_from_the_page_on_extending_and_no_page_has_rust() {
    let pages = pages();
    let mut members: Vec<_> = files(&root().join("docs/members"))
        .iter()
        .filter_map(|f| Some(f.file_name()?.to_str()?.to_owned()))
        .collect();
    members.sort_unstable();
    let page = pages.iter().find(|p| p.name == "docs/extending.md");
    let links = page.expect("a page on extending").links.iter();
    let mut linked: Vec<_> = links
        .filter_map(|l| l.strip_prefix("members/"))
        .filter(|name| !name.is_empty())
        .collect();
    linked.sort_unstable();
    assert_eq!(linked, members);
    let mut rust = pages.iter().filter(|p| p.blocks_in("rust").count() > 0);
    assert_eq!(rust.next().map(|p| &p.name), None);
}
