//! A preparation from the shell, timed: `format=olmo-core out=DIR tokenizer=DIR data=FILE …`, and further
//! options by their names.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Instant;

use olmo_core::Error;
use olmo_finetune::{prepare, Format, Labels, OnError, Options, Outcome, Shard};

fn main() {
    let options = options(std::env::args().skip(1)).unwrap_or_else(|problem| {
        eprintln!("{problem}");
        std::process::exit(2)
    });
    let start = Instant::now();
    match prepare(&options, &Arc::new(AtomicBool::new(false)), &mut |_| {}) {
        Ok(Outcome::Whole(report)) => {
            let seconds = start.elapsed().as_secs_f64();
            let rows = report.json["rows"].as_f64().unwrap_or_default();
            println!("{:#}", report.json);
            eprintln!("{seconds:.2} s, {:.0} rows/s", rows / seconds);
        }
        Ok(waiting) => println!("{waiting:?}"),
        Err(error) => {
            eprintln!("{}: {error}", error.code());
            std::process::exit(1)
        }
    }
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::new(Format::OlmoCore, "", "");
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or(format!("{argument} has no value"))?;
        let number = || value.parse().map_err(|_| format!("{argument} is no number"));
        match name {
            "format" => {
                let format = match value {
                    "olmo" => Format::Olmo,
                    "open-instruct" => Format::OpenInstruct,
                    _ => Format::OlmoCore,
                };
                options = Options::new(format, options.out, options.tokenizer);
            }
            "out" => options.out = value.into(),
            "tokenizer" => {
                options.tokenizer = value.into();
                options.tokenizer_name = value.to_owned();
            }
            "data" => options.data.push(value.to_owned()),
            "max_seq_len" => options.max_seq_len = Some(number()? as usize),
            "chat_template" => options.chat_template = Some(value.to_owned()),
            "add_bos" => options.add_bos = value == "true",
            "seed" => options.shuffle_seed = value.parse().ok(),
            "labels" if value == "exact" => options.labels = Labels::Exact,
            "on_error" if value == "skip" => options.on_error = OnError::Skip,
            "dropped" => options.dropped = Some(value.into()),
            "resume" => options.resume = value == "true",
            "shard" => {
                options.shard = Shard::parse(value).map_err(|error: Error| error.to_string())?
            }
            "part_bytes" => options.part_bytes = number()?,
            _ => return Err(format!("{argument} is not known")),
        }
    }
    Ok(options)
}
