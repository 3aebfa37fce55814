//! The report as a page that needs nothing else.

use std::fmt::Write as _;

use olmo_core::jinja::python::escape;
use serde_json::Value;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1b1b1b;background:#fff}table{border-collapse:collapse;margin:.5rem 0 1.5rem;width:100%}\
    td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}\
    td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}\
    .bar{background:#2a6fb0;height:1em;min-width:1px}code{font-size:.85em;overflow-wrap:anywhere}\
    @media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}td,th{border-color:#333}}";

/// The page of a report in JSON.
pub fn page(report: &Value) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    let format = text(&report["format"]);
    let _ = write!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Fine-tuning data, {format}</title>\n\
         <style>{STYLE}</style>\n<h1>Fine-tuning data for {format}</h1>\n"
    );
    let named = |name: &str| vec![name.replace('_', " "), value(&report[name])];
    let about = [
        "tokenizer",
        "chat_template",
        "add_bos",
        "max_seq_len",
        "labels",
        "shuffle_seed",
        "dtype",
        "rows",
        "examples",
        "tokens",
        "labelled_tokens",
        "longest",
    ];
    let mut rows: Vec<Vec<String>> = about.into_iter().map(named).collect();
    rows.push(vec!["labelled share".to_owned(), share(report)]);
    table(&mut out, "What it is", &[], rows);
    let rows = items(&report["sources"]).map(|source| {
        ["name", "files", "rows", "wanted", "kept", "tokens", "labelled_tokens"]
            .map(|name| value(&source[name]))
            .to_vec()
    });
    let heads = ["source", "files", "rows", "wanted", "kept", "tokens", "labelled"];
    table(&mut out, "Sources", &heads, rows.collect());
    let rows = items(&report["sources"]).flat_map(|source| {
        items(&source["shapes"]).map(|shape| {
            vec![value(&source["name"]), value(&shape["columns"]), value(&shape["rows"])]
        })
    });
    table(&mut out, "Shapes", &["source", "columns", "rows"], rows.collect());
    let rows = items(&report["dropped"])
        .map(|reason| vec![value(&reason["about"]), value(&reason["rows"])]);
    table(&mut out, "Dropped", &["reason", "rows"], rows.collect());
    let notices = report["notices"].as_object().into_iter().flatten();
    let rows = notices.map(|(name, count)| vec![name.replace('_', " "), value(count)]);
    table(&mut out, "Worth knowing", &[], rows.collect());
    histogram(&mut out, &report["histogram"]);
    let rows = items(&report["files"])
        .map(|file| vec![value(&file["file"]), value(&file["bytes"]), value(&file["sha256"])]);
    table(&mut out, "Files", &["file", "bytes", "SHA-256"], rows.collect());
    out.push_str("</html>\n");
    out
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn share(report: &Value) -> String {
    let number = |name: &str| report[name].as_f64().unwrap_or_default();
    let tokens = number("tokens");
    let share = if tokens > 0.0 { number("labelled_tokens") / tokens * 100.0 } else { 0.0 };
    format!("{share:.1} %")
}

/// A table of cells that are escaped already; nothing if it has no rows.
fn table(out: &mut String, title: &str, heads: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(out, "<h2>{title}</h2>\n<table>\n");
    let mut row = |tag: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{cell}</{tag}>")).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    };
    if !heads.is_empty() {
        row("th", &heads.iter().map(|&head| head.to_owned()).collect::<Vec<_>>());
    }
    rows.iter().for_each(|cells| row("td", cells));
    out.push_str("</table>\n");
}

fn histogram(out: &mut String, bins: &Value) {
    let most = items(bins).filter_map(|bin| bin["examples"].as_f64()).fold(1.0, f64::max);
    let rows = items(bins).map(|bin| {
        let width = bin["examples"].as_f64().unwrap_or_default() / most * 100.0;
        let bar = format!("<div class=\"bar\" style=\"width:{width:.1}%\"></div>");
        vec![
            format!("{} – {}", value(&bin["from"]), value(&bin["to"])),
            value(&bin["examples"]),
            bar,
        ]
    });
    table(out, "Tokens of an example", &["tokens", "examples", ""], rows.collect());
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// Without what turns the text around it, or steers a terminal.
fn escaped(text: &str) -> String {
    let is_harmful = |char: char| match char {
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        char => char.is_control() && char != '\n',
    };
    escape(&text.replace(is_harmful, "\u{FFFD}"))
}
