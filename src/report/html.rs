//! `report.html`: the page, every figure and every number in one file that needs no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use pulldown_cmark::{html, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::{json, Value};

use super::results::Results;
use super::summary::{best, Row};
use super::{digits, figures, table};
use mdn_core::metrics::{Better, METRICS};
use mdn_core::{Error, Result};

const PAGE: &str = include_str!("../../assets/report/page.html");
const STYLE: &str = include_str!("../../assets/report/style.css");
/// Bytes of pictures that a page may hold as they are.
const MAX_PICTURE_BYTES: u64 = 16 << 20;

const SCRIPT: &str = include_str!("../../assets/report/script.js");

/// The page `text` (Markdown, as [`super::page::page`] writes it) with its pictures, which are
/// looked up below `dir`, inside, and a table of any metric that the reader chooses.
pub fn html(results: &Results<'_>, rows: &[Row], text: &str, dir: &Path) -> Result<String> {
    let (body, headings) = body(text, dir, shrinking(text, dir)?)?;
    let mut contents = String::from("<ul>\n");
    let extra = ("every-metric".to_owned(), "Every metric".to_owned());
    for (id, name) in headings.iter().chain([&extra]) {
        let _ = writeln!(contents, "<li><a href=\"#{id}\">{}</a></li>", escape(name));
    }
    contents.push_str("</ul>\n");
    // Inside a script element `<` could end it.
    let numbers = numbers(results, rows).to_string().replace('<', "\\u003c");
    let title = escape(&format!("{}: mdn compare", results.what.experiment));
    let generator = format!("mdn {}", env!("CARGO_PKG_VERSION"));
    let parts = [
        ("{{generator}}", generator.as_str()),
        ("{{title}}", &title),
        ("{{style}}", STYLE),
        ("{{script}}", SCRIPT),
        ("{{contents}}", &contents),
        ("{{numbers}}", &numbers),
        ("{{body}}", &body),
    ];
    Ok(fill(PAGE, &parts))
}

/// `page` with every place filled once: what is filled in is not looked through again.
fn fill(page: &str, parts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = page;
    let next = |rest: &str| {
        let places = parts.iter().filter_map(|p| Some((rest.find(p.0)?, *p)));
        places.min_by_key(|(at, _)| *at)
    };
    while let Some((at, (place, with))) = next(rest) {
        out.push_str(&rest[..at]);
        out.push_str(with);
        rest = &rest[at + place.len()..];
    }
    out.push_str(rest);
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// How many times smaller, each way, the pictures of a page must be to weigh no more than [`MAX_PICTURE_BYTES`]: a
/// page that is all of a large comparison would otherwise be slow to open.
fn shrinking(text: &str, dir: &Path) -> Result<usize> {
    let mut total = 0;
    for event in Parser::new(text) {
        if let Event::Start(Tag::Image { dest_url, .. }) = event {
            let path = dir.join(&*dest_url);
            let about = fs::metadata(&path).map_err(Error::io(&path, "could not read"))?;
            total += about.len();
        }
    }
    Ok(match total {
        0..=MAX_PICTURE_BYTES => 1,
        _ => 2,
    })
}

/// Markdown as HTML, with pictures `factor` times smaller each way, and the identifier and text of
/// every second-level heading.
fn body(text: &str, dir: &Path, factor: usize) -> Result<(String, Vec<(String, String)>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut headings: Vec<(String, String)> = Vec::new();
    let mut heading: Option<(usize, String)> = None;
    let mut image: Option<(String, String)> = None;
    for event in Parser::new_ext(text, options) {
        if let Some((path, alt)) = &mut image {
            match event {
                Event::End(TagEnd::Image) => {
                    let figure = figure(&dir.join(&*path), alt, factor)?;
                    image = None;
                    events.push(Event::InlineHtml(figure.into()));
                }
                Event::Text(t) | Event::Code(t) => alt.push_str(&t),
                _ => {}
            }
            continue;
        }
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                image = Some((dest_url.into_string(), String::new()));
            }
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                ..
            }) => {
                heading = Some((events.len(), String::new()));
                events.push(event);
            }
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                if let Some((at, name)) = heading.take() {
                    let id = format!("part-{}", headings.len() + 1);
                    events[at] = Event::Start(Tag::Heading {
                        level: HeadingLevel::H2,
                        id: Some(CowStr::from(id.clone())),
                        classes: Vec::new(),
                        attrs: Vec::new(),
                    });
                    headings.push((id, name));
                }
                events.push(event);
            }
            // Tables that are wider than the page scroll within themselves.
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html("<div class=\"scroll\">".into()));
                events.push(event);
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>\n".into()));
            }
            // The text of a run's record is no markup.
            Event::Html(t) | Event::InlineHtml(t) => events.push(Event::Text(t)),
            Event::Text(ref t) | Event::Code(ref t) => {
                if let Some((_, name)) = &mut heading {
                    name.push_str(t);
                }
                events.push(event);
            }
            other => events.push(other),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    // A figure may not stand in a paragraph.
    let out = out
        .replace("<p><figure>", "<figure>")
        .replace("</figure></p>", "</figure>")
        .replace("</figure>\n<figure>", "</figure><figure>");
    Ok((out, headings))
}

fn figure(path: &Path, alt: &str, factor: usize) -> Result<String> {
    let mut bytes = fs::read(path).map_err(Error::io(path, "could not read"))?;
    if factor > 1 {
        bytes = figures::smaller(&bytes, factor)?;
    }
    let alt = escape(alt);
    Ok(format!(
        "<figure><img loading=\"lazy\" alt=\"{alt}\" src=\"data:image/png;base64,{}\">\
         <figcaption>{alt}</figcaption></figure>",
        BASE64_STANDARD.encode(bytes)
    ))
}

/// For every metric, data set and model: text, mean, median, difference, whether it is the best.
fn numbers(results: &Results<'_>, rows: &[Row]) -> Value {
    let what = results.what;
    let mut keys: Vec<&str> = Vec::new();
    for row in rows {
        if !row.metric.is_empty() && !keys.contains(&row.metric.as_str()) {
            keys.push(&row.metric);
        }
    }
    let metrics: Vec<Value> = keys
        .into_iter()
        .filter_map(|metric| {
            let mut cells: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
            for data in what.data {
                let of: Vec<&Row> = rows
                    .iter()
                    .filter(|r| r.data == *data && r.metric == metric && r.value.is_some())
                    .collect();
                let winners = best(&of);
                for row in &of {
                    let mean = row.value.map(|v| v.mean).filter(|m| m.is_finite());
                    let cell = json!([
                        digits::spread(row.value.as_ref()),
                        mean,
                        row.value
                            .map_or_else(digits::dash, |v| digits::plain(v.median)),
                        table::starred(row),
                        winners.contains(&row.model.as_str()),
                    ]);
                    cells.entry(data).or_default().insert(&row.model, cell);
                }
            }
            let any = rows.iter().find(|r| r.metric == metric)?;
            let known = METRICS.iter().find(|m| m.name == metric);
            let about = known.map_or_else(String::new, |m| m.describe.to_owned());
            let unit = if any.unit.is_empty() { "1" } else { &any.unit };
            let better = match any.better {
                Better::Neither => String::new(),
                other => format!("; {other} is better"),
            };
            (!cells.is_empty()).then(|| {
                json!({
                    "key": metric,
                    "about": format!("{about} [{unit}]{better}"),
                    "cells": cells,
                })
            })
        })
        .collect();
    json!({ "metrics": metrics, "data": what.data, "models": what.models })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;
    use crate::report::{compare, summary};

    #[test]
    fn the_report_stands_alone_and_holds_every_figure() {
        let fixture = Fixture::new();
        let dir = fixture.experiment();
        let report = compare(&fixture.comparison(&dir)).unwrap();
        let path = dir.join("report.html");
        assert!(report.files.contains(&path));
        let html = fs::read_to_string(&path).unwrap();
        for outside in ["http://", "https://", "src=\"figures", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        let pictures = html.matches("src=\"data:image/png;base64,").count();
        let on_page = fs::read_to_string(dir.join("summary.md")).unwrap();
        assert_eq!(pictures, on_page.matches("](figures/").count());
        assert!(pictures > 0);
        assert!(!html.contains("{{"));
        for data in ["ring", "cloud", "table"] {
            assert!(html.contains(&format!(">{data}</a>")), "{data}");
        }
        compare(&fixture.comparison(&dir)).unwrap();
        assert_eq!(html, fs::read_to_string(&path).unwrap(), "the same bytes");
    }

    #[test]
    fn numbers_are_those_of_the_summary() {
        let fixture = Fixture::new();
        let dir = fixture.experiment();
        let what = fixture.comparison(&dir);
        let results = Results::read(&what).unwrap();
        let rows = summary::rows(&results);
        let found = numbers(&results, &rows);
        let metrics = found["metrics"].as_array().unwrap();
        let kl = metrics.iter().find(|m| m["key"] == "kl").unwrap();
        let cell = &kl["cells"]["ring"]["normal_base"];
        assert!((cell[1].as_f64().unwrap() - 0.32).abs() < 1e-12);
        assert_eq!(cell[4], false);
        assert_eq!(kl["cells"]["ring"]["mixture_base"][4], true);
        assert!(kl["cells"].get("table").is_none(), "no truth, no KL");
    }

    #[test]
    fn text_of_a_record_is_not_markup() {
        let dir = Path::new("nowhere");
        let (body, headings) = body("## a<b>\n\n<script>x()</script> & `<i>`\n", dir, 1).unwrap();
        assert!(
            !body.contains("<script>") && !body.contains("<i>"),
            "{body}"
        );
        assert_eq!(headings.len(), 1);
        assert!(figure(Path::new("nowhere/x.png"), "x", 1).is_err());
    }
}
