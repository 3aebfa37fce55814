//! The numbers of a run as a table.

use serde_json::Value;

/// In Markdown: what was measured of each model, and the share of what copying allows.
pub fn markdown(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or("unknown").to_owned();
    let features = report["features"].as_array().into_iter().flatten();
    let features: Vec<&str> = features.filter_map(Value::as_str).collect();
    let mut lines = vec![
        format!("{}, {}, {}", text("device"), text("api"), text("driver")),
        String::new(),
        format!("- tests: {}", text("tests")),
        format!("- features: {}", features.join(", ")),
        format!("- memory: {:.1} GiB, {:.1} free", gib(&report["memory"]), gib(&report["free"])),
        format!("- copies: {:.0} GB/s, read and written", number(&report["copyBytesPerSecond"]) / 1e9),
        String::new(),
        "| shape | type | tokens before | decode, tokens/s | share of copying | prompt, tokens/s | in one pass |".into(),
        "|---|---|---|---|---|---|---|".into(),
    ];
    lines.extend(report["models"].as_array().into_iter().flatten().flat_map(rows));
    lines.join("\n") + "\n"
}

fn rows(model: &Value) -> Vec<String> {
    let text = |key: &str| model[key].as_str().unwrap_or_default();
    let (shape, kind) = (text("shape"), text("type"));
    if let Some(error) = model["error"].as_str() {
        return vec![format!("| {shape} | {kind} | does not run: {error} | | | | |")];
    }
    let prefill = &model["prefill"];
    let row = |(index, step): (usize, &Value)| {
        let [chunks, whole] = ["tokensPerSecond", "inOnePass"].map(|key| number(&prefill[key]));
        let prompt = match index {
            0 => format!("{chunks:.0} | {whole:.0}"),
            _ => " | ".into(),
        };
        let (rate, share) = (number(&step["tokensPerSecond"]), 100.0 * number(&step["share"]));
        let depth = number(&step["depth"]);
        format!("| {shape} | {kind} | {depth} | {rate:.1} | {share:.0}% | {prompt} |")
    };
    model["decode"].as_array().into_iter().flatten().enumerate().map(row).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn gib(value: &Value) -> f64 {
    number(value) / f64::from(1 << 30)
}
