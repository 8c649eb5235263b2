//! `report.html`: the page, every figure and every number in one file that needs no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use pulldown_cmark::{html, Event, Options, Parser};
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
    let (body, headings) = body(text, dir)?;
    let mut contents = String::from("<ul>\n");
    for (i, name) in headings.iter().enumerate() {
        let _ = writeln!(contents, "<li><a href=\"#part-{}\">{name}</a></li>", i + 1);
    }
    contents.push_str("<li><a href=\"#every-metric\">Every metric</a></li>\n</ul>\n");
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

/// Markdown as HTML with its pictures inside, and its second-level headings.
fn body(text: &str, dir: &Path) -> Result<(String, Vec<String>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(text, options).map(|event| match event {
        // The text of a run's record is no markup.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut html = String::new();
    html::push_html(&mut html, events);
    // Tables that are wider than the page scroll within themselves.
    html = html.replace("<table>", "<div class=\"scroll\"><table>");
    html = html.replace("</table>", "</table></div>");
    let mut headings = Vec::new();
    let mut parts = html.split("<h2>");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        headings.extend(part.split("</h2>").next().map(str::to_owned));
        let _ = write!(out, "<h2 id=\"part-{}\">{part}", headings.len());
    }
    Ok((with_pictures(&out, dir)?, headings))
}

/// Every paragraph that is a picture becomes a figure with the bytes of its file inside.
fn with_pictures(html: &str, dir: &Path) -> Result<String> {
    let pictures = html.split("<p><img src=\"").skip(1);
    let pictures = pictures.filter_map(|piece| {
        let (file, rest) = piece.split_once("\" alt=\"")?;
        let (alt, rest) = rest.split_once("\" /></p>\n")?;
        Some((dir.join(file), alt, rest))
    });
    let pictures: Vec<_> = pictures.collect();
    let mut total = 0;
    for (path, ..) in &pictures {
        total += fs::metadata(path)
            .map_err(Error::io(path, "could not read"))?
            .len();
    }
    let mut out = html
        .split("<p><img src=\"")
        .next()
        .unwrap_or_default()
        .to_owned();
    for (path, alt, rest) in pictures {
        let mut bytes = fs::read(&path).map_err(Error::io(&path, "could not read"))?;
        // The page of a large comparison would be slow to open.
        if total > MAX_PICTURE_BYTES {
            bytes = figures::smaller(&bytes, 2)?;
        }
        let _ = write!(
            out,
            "<figure><img loading=\"lazy\" alt=\"{alt}\" src=\"data:image/png;base64,{}\">\
             <figcaption>{alt}</figcaption></figure>{rest}",
            BASE64_STANDARD.encode(bytes)
        );
    }
    Ok(out)
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
                    table::difference(r),
                    winners.contains(&r.model.as_str()),
                    table::ratio(r),
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
        let kl = &metrics.iter().find(|m| m["key"] == "kl").unwrap()["cells"];
        let normal_base = json!([
            "0.320 ± 0.039",
            0.31999999999999995,
            "0.3200",
            "–",
            false,
            "–"
        ]);
        assert_eq!(kl["ring"]["normal_base"], normal_base);
        assert_eq!(kl["ring"]["mixture_base"][4], true);
        assert!(kl.get("table").is_none(), "no truth, no KL");
    }

    #[test]
    fn text_of_a_record_is_not_markup() {
        let text = "## a<b>\n\n<script>x()</script> & `<i>`\n\n|a|\n|---|\n|b|\n";
        let (html, headings) = body(text, Path::new("nowhere")).unwrap();
        assert!(
            !html.contains("<script>") && !html.contains("<i>"),
            "{html}"
        );
        assert!(html.contains("<h2 id=\"part-1\">a&lt;b&gt;</h2>"), "{html}");
        assert!(html.contains("<div class=\"scroll\"><table>"), "{html}");
        assert_eq!(headings, ["a&lt;b&gt;"]);
        assert!(body("![x](x.png)\n", Path::new("nowhere")).is_err());
    }
}
