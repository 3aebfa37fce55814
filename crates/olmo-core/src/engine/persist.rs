//! What the cache keeps for later texts, in a file and back: so that a prompt read before a restart need not be
//! read again.
//!
//! ```text
//! OLMO2KV1
//! u32     length of the head
//! JSON    the head: of which model, and in which form
//! block   u32 number of the block that it follows, counted from 1; 0 at a text's beginning
//!         u32 × BLOCK_TOKENS tokens
//!         keys and values, as the backend has them
//! block   …
//! SHA-256 of all before it
//! ```
//!
//! Numbers are little-endian. The engine goes on meanwhile: some blocks are moved between two passes.

mod file;

use std::collections::HashMap;
use std::path::Path;

use file::{Head, Reader, Writer};

use super::handle::Engine;
use super::scheduler::Scheduler;
use super::worker::Command;
use crate::cache::{BlockName, SealedBlock, BLOCK_TOKENS};
use crate::checkpoint::ModelSource;
use crate::weights::Access;
use crate::{Error, Result};

/// Bytes that are moved between two passes, about: some milliseconds' work.
const GROUP_BYTES: usize = 16 << 20;

/// Tokens that the cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Tokens there is room for.
    pub tokens: usize,
    /// Of these, room that texts in work have.
    pub in_use: usize,
    /// Tokens that a later text can begin with, in work or not.
    pub kept: usize,
}

/// What went into a file, or came out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptCache {
    pub tokens: usize,
    /// Of the file.
    pub bytes: u64,
}

impl Engine {
    pub async fn cache_use(&self) -> Result<CacheUse> {
        let (reply, result) = async_channel::bounded(1);
        self.between(move |scheduler| {
            let _ = reply.try_send(scheduler.cache_use());
        })?;
        result.recv().await.map_err(|_| Error::Disposed)
    }

    /// Writes what the cache keeps for later texts into a file; blocks until it is on the disk.
    pub fn save_cache(&self, path: &Path) -> Result<KeptCache> {
        let head = self.head()?;
        let mut writer = Writer::create(path, &head)?;
        let mut numbers = HashMap::from([(BlockName::ROOT, 0)]);
        let kept = self.answer(|scheduler| scheduler.kept_blocks())?;
        for group in kept.chunks(group_of(&head)) {
            let group = group.to_vec();
            let read = move |scheduler: &mut Scheduler| -> Result<Vec<(SealedBlock, Vec<u8>)>> {
                let one = |sealed: SealedBlock| {
                    let bytes = scheduler.read_kept(&sealed).transpose()?;
                    Some(bytes.map(|bytes| (sealed, bytes)))
                };
                group.into_iter().filter_map(one).collect()
            };
            for (sealed, bytes) in self.answer(read)?? {
                // What it follows may have gone before it was its turn.
                if let Some(&follows) = numbers.get(&sealed.previous) {
                    writer.block(follows, &sealed.tokens, &bytes)?;
                    numbers.insert(sealed.name, numbers.len() as u32);
                }
            }
        }
        let bytes = writer.finish()?;
        Ok(KeptCache { tokens: (numbers.len() - 1) * BLOCK_TOKENS, bytes })
    }

    /// Keeps what a file holds that [`Engine::save_cache`] wrote, as far as there is room that no text in work has;
    /// blocks until that is done.
    ///
    /// Errors on a file of another model or in another form, and on one that is damaged, before anything is kept.
    pub fn load_cache(&self, path: &Path) -> Result<KeptCache> {
        let head = self.head()?;
        let mut reader = Reader::open(path, &head)?;
        let CacheUse { tokens, in_use, .. } = self.answer(|scheduler| scheduler.cache_use())?;
        let mut room = (tokens - in_use) / BLOCK_TOKENS;
        let mut names = vec![Some(BlockName::ROOT)];
        let mut kept = 0;
        while room > 0 {
            let group = reader.blocks(group_of(&head).min(room), self.info().config.vocab_size)?;
            if group.is_empty() {
                break;
            }
            room -= group.len();
            let keep = move |scheduler: &mut Scheduler| -> Result<Vec<Option<BlockName>>> {
                for block in group {
                    let name = match names[block.follows] {
                        Some(previous) => scheduler.keep(previous, &block.tokens, &block.bytes)?,
                        None => None,
                    };
                    names.push(name);
                }
                Ok(names)
            };
            names = self.answer(keep)??;
            kept = names.iter().flatten().count() - 1;
        }
        Ok(KeptCache { tokens: kept * BLOCK_TOKENS, bytes: reader.bytes() })
    }

    /// What a file of this model's cache begins with.
    fn head(&self) -> Result<Head> {
        let info = self.info();
        let block = self.answer(|scheduler| scheduler.block_bytes())??;
        Ok(Head {
            model: self.hash()?,
            dtype: info.dtype.name().into(),
            cache_dtype: info.cache_dtype.name().into(),
            backend: info.backend(),
            block_tokens: BLOCK_TOKENS,
            block_bytes: block,
        })
    }

    /// Of the weights as their files have them, and of what else a token's keys and values hang on.
    fn hash(&self) -> Result<String> {
        if let Some(hash) = self.hash.get() {
            return Ok(hash.clone());
        }
        let (config, checkpoint) = ModelSource::open(&self.info().path)?.weights(Access::Map)?;
        let all = format!("{} {config:?}", checkpoint.hash());
        Ok(self.hash.get_or_init(|| crate::files::hashed::sha256(all.as_bytes())).clone())
    }

    /// What the engine's thread says between two passes; waits for it.
    fn answer<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Scheduler) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = async_channel::bounded(1);
        self.between(move |scheduler| {
            let _ = reply.try_send(ask(scheduler));
        })?;
        result.recv_blocking().map_err(|_| Error::Disposed)
    }

    fn between(&self, work: impl FnOnce(&mut Scheduler) + Send + 'static) -> Result<()> {
        self.send(Command::Between(Box::new(work)))
    }
}

/// Blocks that are moved between two passes.
fn group_of(head: &Head) -> usize {
    (GROUP_BYTES / head.block_bytes.max(1)).max(1)
}
