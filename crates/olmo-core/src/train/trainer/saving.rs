//! What a run leaves behind.

use super::*;

impl Trainer {
    /// Writes a checkpoint of this moment, unless there is one.
    pub(super) fn save(&mut self, on_progress: OnProgress) -> Result<()> {
        let moment = self.moment();
        if self.saved.0 == moment {
            return Ok(());
        }
        let name = Name { moment, tokens: self.step * self.step_tokens() }.to_string();
        let mut written = None;
        let (config, optimizer, dtype) = (&self.config, &self.optimizer, self.dtype);
        self.learner.parameters(&mut |parameters| {
            written = Some(checkpoint::write_whole(&config.output, &name, |folder| {
                let weights = parameters.iter().map(|p| (&p.name[..], &p.shape[..], &p.value[..]));
                let json = config.checkpoint_json(dtype);
                checkpoint::write_model(
                    folder,
                    &json,
                    dtype,
                    weights,
                    config.tokenizer.as_deref(),
                )?;
                state::write(folder, config, parameters, optimizer, dtype)
            }));
        })?;
        let path = written.expect("parameters were shown")?;
        self.saved = (moment, path.clone());
        self.drop_old_states()?;
        let Moment { stage, ingredient, step } = moment;
        let metrics = CheckpointMetrics { stage, ingredient, step, path };
        self.tell(Progress::Checkpoint(metrics), on_progress)
    }

    /// Removes the states of checkpoints nobody will resume from.
    fn drop_old_states(&self) -> Result<()> {
        if self.config.checkpoint.keep_states {
            return Ok(());
        }
        let end_of_stage1 = self.phases[0].end();
        for (moment, path) in checkpoint::list(&self.config.output)? {
            let state = path.join(STATE_FILE);
            if moment < self.saved.0 && moment != end_of_stage1 && state.is_file() {
                std::fs::remove_file(&state).map_err(|error| Error::write(&state, error))?;
            }
        }
        Ok(())
    }
}
