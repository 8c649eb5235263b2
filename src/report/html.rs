//! `report.html`: the page, every figure and every number in one file that needs no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use pulldown_cmark::{html, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::{json, Value};

use super::figures::{self, escaped};
use super::results::Results;
use super::summary::{best, Row};
use super::{digits, table};
use mdn_core::metrics::{Better, METRICS};
use mdn_core::{Error, Result};

const PAGE: &str = include_str!("../../assets/report/page.html");
const STYLE: &str = include_str!("../../assets/report/style.css");
const SCRIPT: &str = include_str!("../../assets/report/script.js");
/// Bytes of pictures that a page may hold in full size.
const MAX_PICTURE_BYTES: u64 = 16 << 20;

/// The page `text` (Markdown, as [`super::page::page`] writes it) with its pictures, which are read
/// from `dir`, inside, and a table of any metric that the reader chooses.
pub fn html(results: &Results<'_>, rows: &[Row], text: &str, dir: &Path) -> Result<String> {
    let (body, mut headings) = body(text, dir, shrinking(text, dir)?)?;
    headings.push(("every-metric".to_owned(), "Every metric".to_owned()));
    let mut contents = String::from("<ul>\n");
    for (id, name) in &headings {
        let _ = writeln!(contents, "<li><a href=\"#{id}\">{}</a></li>", escaped(name));
    }
    contents.push_str("</ul>\n");
    // Inside a script element `<` could end it.
    let numbers = numbers(results, rows).to_string().replace('<', "\\u003c");
    let title = escaped(&format!("{}: mdn compare", results.what.experiment));
    let parts = [
        ("generator", concat!("mdn ", env!("CARGO_PKG_VERSION"))),
        ("title", &title),
        ("style", STYLE),
        ("script", SCRIPT),
        ("contents", &contents),
        ("numbers", &numbers),
        ("body", &body),
    ];
    // The template is split at its places, so that what is filled in is not looked through.
    let mut pieces = PAGE.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or(("", piece));
        let part = parts.iter().find(|p| p.0 == name);
        out.push_str(part.map_or("", |p| p.1));
        out.push_str(rest);
    }
    Ok(out)
}

/// How many times smaller, each way, the pictures of a page must be to have no more than about
/// [`MAX_PICTURE_BYTES`]: the page of a large comparison would otherwise be slow to open.
fn shrinking(text: &str, dir: &Path) -> Result<usize> {
    let mut total = 0;
    for event in Parser::new(text) {
        if let Event::Start(Tag::Image { dest_url, .. }) = event {
            let path = dir.join(&*dest_url);
            let about = fs::metadata(&path).map_err(Error::io(&path, "could not read"))?;
            total += about.len();
        }
    }
    Ok(if total <= MAX_PICTURE_BYTES { 1 } else { 2 })
}

/// Markdown as HTML, with pictures `factor` times smaller each way, and the identifier and text of
/// every second-level heading.
fn body(text: &str, dir: &Path, factor: usize) -> Result<(String, Vec<(String, String)>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut headings: Vec<(String, String)> = Vec::new();
    let mut in_heading = false;
    let mut image: Option<(String, String)> = None;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                image = Some((dest_url.into_string(), String::new()));
            }
            Event::End(TagEnd::Image) => {
                if let Some((path, alt)) = image.take() {
                    let figure = figure(&dir.join(path), &alt, factor)?;
                    events.push(Event::InlineHtml(figure.into()));
                }
            }
            Event::Text(t) | Event::Code(t) if image.is_some() => {
                image.iter_mut().for_each(|(_, alt)| alt.push_str(&t));
            }
            _ if image.is_some() => {}
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                classes,
                attrs,
                ..
            }) => {
                let id = format!("part-{}", headings.len() + 1);
                headings.push((id.clone(), String::new()));
                in_heading = true;
                events.push(Event::Start(Tag::Heading {
                    level: HeadingLevel::H2,
                    id: Some(CowStr::from(id)),
                    classes,
                    attrs,
                }));
            }
            Event::End(TagEnd::Heading(_)) => {
                in_heading = false;
                events.push(event);
            }
            // Tables that are wider than the page scroll within themselves.
            Event::Start(Tag::Table(_)) => {
                events.extend([Event::Html("<div class=\"scroll\">".into()), event]);
            }
            Event::End(TagEnd::Table) => {
                events.extend([event, Event::Html("</div>\n".into())]);
            }
            // The text of a run's record is no markup.
            Event::Html(t) | Event::InlineHtml(t) => events.push(Event::Text(t)),
            Event::Text(ref t) | Event::Code(ref t) => {
                if let (true, Some((_, name))) = (in_heading, headings.last_mut()) {
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
    let alt = escaped(alt);
    Ok(format!(
        "<figure><img loading=\"lazy\" alt=\"{alt}\" src=\"data:image/png;base64,{}\">\
         <figcaption>{alt}</figcaption></figure>",
        BASE64_STANDARD.encode(bytes)
    ))
}

/// For every metric, data set and model: text, mean, median, difference, whether it is the best.
fn numbers(results: &Results<'_>, rows: &[Row]) -> Value {
    let what = results.what;
    let mut metrics: Vec<Value> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    for row in rows {
        let metric = row.metric.as_str();
        if metric.is_empty() || keys.contains(&metric) {
            continue;
        }
        keys.push(metric);
        let mut cells: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        for data in what.data {
            let of = rows
                .iter()
                .filter(|r| r.data == *data && r.metric == metric);
            let of: Vec<&Row> = of.filter(|r| r.value.is_some()).collect();
            let winners = best(&of);
            for r in &of {
                let cell = json!([
                    digits::spread(r.value.as_ref()),
                    r.value.map(|v| v.mean).filter(|m| m.is_finite()),
                    r.value
                        .map_or_else(digits::dash, |v| digits::plain(v.median)),
                    table::starred(r),
                    winners.contains(&r.model.as_str()),
                ]);
                cells.entry(data).or_default().insert(&r.model, cell);
            }
        }
        if cells.is_empty() {
            continue;
        }
        let known = METRICS.iter().find(|m| m.name == metric);
        let about = known.map_or("", |m| m.describe);
        let unit = if row.unit.is_empty() { "1" } else { &row.unit };
        let better = match row.better {
            Better::Neither => String::new(),
            other => format!("; {other} is better"),
        };
        let about = format!("{about} [{unit}]{better}");
        metrics.push(json!({ "key": metric, "about": about, "cells": cells }));
    }
    json!({ "metrics": metrics, "data": what.data, "models": what.models })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;
    use crate::report::summary;

    #[test]
    fn numbers_are_those_of_the_summary() {
        let fixture = Fixture::new();
        let what = fixture.comparison();
        let results = Results::read(&what).unwrap();
        let found = numbers(&results, &summary::rows(&results));
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
