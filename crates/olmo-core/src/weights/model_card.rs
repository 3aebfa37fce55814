//! What is read of a model card, `README.md`.

use std::path::Path;

use crate::files;

/// `license:` in the YAML front matter of a model card.
pub(crate) fn license(dir: &Path) -> Option<String> {
    let card = files::read_text(&dir.join("README.md"), files::MOST_CONFIG).ok()?;
    let mut lines = card.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    let line = lines
        .take_while(|line| line.trim() != "---")
        .find_map(|line| line.strip_prefix("license:"))?;
    let name = line.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}
