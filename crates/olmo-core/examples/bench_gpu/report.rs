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
        format!("- cooperative matrices: {}", text("cooperativeMatrices")),
        format!("- memory: {:.1} GiB, {:.1} free", gib(&report["memory"]), gib(&report["free"])),
        format!("- copies: {:.0} GB/s, read and written", number(&report["copyBytesPerSecond"]) / 1e9),
        String::new(),
        "| shape | type | tokens before | decode, tokens/s | share of copying | prompt, tokens/s | in one pass |".into(),
        "|---|---|---|---|---|---|---|".into(),
    ];
    let models = || report["models"].as_array().into_iter().flatten();
    lines.extend(models().flat_map(rows));
    lines.extend(plain(models().filter(|model| model["plain"].is_object())));
    let first = models().next().map(|model| &model["shape"]);
    lines.extend(models().filter(|model| Some(&model["shape"]) == first).flat_map(kernels));
    lines.join("\n") + "\n"
}

/// Prompts with cooperative matrices and without.
fn plain<'a>(models: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let row = |model: &Value| {
        let name = ["shape", "type"].map(|key| model[key].as_str().unwrap_or_default()).join(" | ");
        let rate = |key: &str| number(&model[key]["inOnePass"]);
        let (fast, plain) = (rate("prefill"), rate("plain"));
        let (ratio, difference) = (fast / plain, number(&model["plain"]["difference"]));
        format!("| {name} | {fast:.0} | {plain:.0} | {ratio:.2} | {difference:.1e} |")
    };
    let rows: Vec<String> = models.map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    let head = [
        "",
        "| shape | type | prompt by cooperative matrices, tokens/s | without | ratio | logits differ, of the largest |",
        "|---|---|---|---|---|---|",
    ];
    head.map(str::to_owned).into_iter().chain(rows).collect()
}

/// What the kernels of a token and of a prompt take. The report has them of all models, the page those of the first shape.
fn kernels(model: &Value) -> Vec<String> {
    let found = &model["kernels"];
    let name = ["shape", "type"].map(|key| model[key].as_str().unwrap_or_default()).join(", ");
    let token = format!("a token after {}", found["tokensBefore"]);
    let prompt = format!("a prompt of {} in one pass", model["prompt"]);
    let tables = [("token", token), ("prompt", prompt)].map(|(key, what)| {
        let lines = found[key].as_array()?;
        let total: f64 = lines.iter().map(|line| number(&line["seconds"])).sum();
        let count: u64 = lines.iter().filter_map(|line| line["count"].as_u64()).sum();
        let milliseconds = 1e3 * total;
        let head = [
            String::new(),
            format!("{name}: {what}, {count} dispatches, {milliseconds:.3} ms on the device"),
            String::new(),
            "| kernel | workgroups | dispatches | ms | share | GB/s |".into(),
            "|---|---|---|---|---|---|".into(),
        ];
        Some(head.into_iter().chain(lines.iter().map(|line| kernel(line, total))).collect())
    });
    let tables: Vec<Vec<String>> = tables.into_iter().flatten().collect();
    tables.concat()
}

fn kernel(line: &Value, total: f64) -> String {
    let (name, seconds) = (line["kernel"].as_str().unwrap_or_default(), number(&line["seconds"]));
    let workgroups = line["workgroups"].as_array().into_iter().flatten();
    let workgroups: Vec<String> = workgroups.map(Value::to_string).collect();
    let (workgroups, count) = (workgroups.join(" × "), &line["count"]);
    let (milliseconds, share) = (1e3 * seconds, 100.0 * seconds / total);
    let rate = number(&line["bytes"]) / seconds / 1e9;
    format!("| {name} | {workgroups} | {count} | {milliseconds:.3} | {share:.1}% | {rate:.0} |")
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
