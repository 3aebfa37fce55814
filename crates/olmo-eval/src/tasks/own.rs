//! Tasks of the user's own, whose documents come as JSON.

use olmo_core::{Error, Result};
use serde::Deserialize;

use crate::document::Document;

#[derive(Deserialize)]
struct Own {
    native_id: Option<String>,
    subject: Option<String>,
    context: String,
    choices: Vec<String>,
    gold: usize,
}

/// The documents in a JSON array, each with `context`, `choices` and `gold`, and with `native_id` and `subject`
/// if it has them.
pub fn own_documents(json: &str) -> Result<Vec<Document>> {
    let own: Vec<Own> = serde_json::from_str(json)
        .map_err(|error| Error::Internal(format!("documents of a task: {error}")))?;
    let documents = own.into_iter().enumerate().map(|(id, own)| Document {
        native_id: own.native_id,
        subject: own.subject,
        ..Document::new(id, own.context, " ", own.choices, own.gold)
    });
    Ok(documents.collect())
}
