//! What a run reads at a time.

/// Consecutive tokens, and what of them is to be learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub tokens: Vec<u32>,
    /// Which tokens the model should predict, one for each; without it all. The first token of an
    /// instance follows nothing, so it is predicted never.
    pub targets: Option<Vec<bool>>,
    /// Lengths of its documents where these are known. Without it a document ends with an end-of-text
    /// token.
    pub documents: Option<Vec<usize>>,
}

impl Instance {
    pub fn plain(tokens: Vec<u32>) -> Instance {
        Instance { tokens, targets: None, documents: None }
    }

    /// How many tokens are predicted.
    pub fn count(&self) -> usize {
        match &self.targets {
            Some(targets) => targets.iter().skip(1).filter(|&&is_target| is_target).count(),
            None => self.tokens.len().saturating_sub(1),
        }
    }

    /// Leaves out what stands after the last target: nothing that is learned depends on it.
    pub fn trim(&mut self) {
        let Some(targets) = &mut self.targets else { return };
        let len = targets.iter().rposition(|&is_target| is_target).map_or(0, |last| last + 1);
        targets.truncate(len);
        self.tokens.truncate(len);
        let mut left = len;
        for document in self.documents.iter_mut().flatten() {
            *document = left.min(*document);
            left -= *document;
        }
        if let Some(documents) = &mut self.documents {
            documents.retain(|&length| length > 0);
        }
    }
}
