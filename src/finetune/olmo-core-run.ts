import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { describedModel } from '../convert/configs.js'
import { CheckpointError, OptionError } from '../errors.js'
import { fileSize } from '../files.js'
import { pythonProgram } from '../python.js'
import type { LaunchOptions, LaunchPlan } from './launch-options.js'
import { partsOf } from './prepared.js'
import { torchrun } from './torchrun.js'

/** The longest row that is taken without being asked for. */
const LONGEST = 4096

/**
 * What a run with OLMo-core takes: its config, our program over its public classes, and the start's weights in
 * its form.
 *
 * @param model The start's folder
 * @param python What torchrun is a module of
 */
export async function planOlmoCore(
  options: LaunchOptions & { device: 'cpu' | 'cuda' },
  model: string,
  python: string,
): Promise<LaunchPlan> {
  const out = resolve(options.out)
  const program = join(out, 'olmo_core_train.py')
  const config = join(out, 'launch.json')
  const { values, notes } = await runConfig(options, model, out)
  const start = join(out, 'start')
  return {
    files: [
      { path: config, content: `${JSON.stringify(values, undefined, 2)}\n` },
      { path: program, content: await readFile(pythonProgram('olmo_core_train.py'), 'utf8') },
    ],
    commands: [
      {
        about: "the start's weights in OLMo-core's form",
        argv: ['olmo2', 'convert', model, start, '--to', 'olmo-core', '--python', python],
      },
      { about: 'the training', argv: [...torchrun(options, python), program, config] },
    ],
    notes,
  }
}

async function runConfig(
  options: LaunchOptions & { device: 'cpu' | 'cuda' },
  model: string,
  out: string,
): Promise<{ values: object; notes: string[] }> {
  if ((await fileSize(join(model, 'config.json'))) === undefined) {
    const message = `${model} has no config.json: a checkpoint's folder is needed; olmo2 convert makes one`
    throw new CheckpointError('IO', message)
  }
  const { shape, config, ropeTheta, eps } = await describedModel(model)
  const parts = await partsOf(options.data)
  const longest = Number(config.max_position_embeddings) || LONGEST
  const { sequenceLength, microBatchSize, batchSize } = rowsOf(options, longest)
  const notes =
    sequenceLength > longest
      ? [
          `rows of ${sequenceLength} tokens are longer than the ${longest} that the model was made for`,
        ]
      : []
  const [eos] = [config.eos_token_id].flat()
  const values = {
    device: options.device,
    flash_attention: options.flashAttention ?? false,
    seed: Number(options.seed ?? 34521),
    model: {
      hidden_size: shape.hiddenSize,
      intermediate_size: shape.intermediateSize,
      num_hidden_layers: shape.numHiddenLayers,
      num_attention_heads: shape.numAttentionHeads,
      num_key_value_heads: shape.numKeyValueHeads,
      head_dim: shape.headDim,
      vocab_size: shape.vocabSize,
      rope_theta: ropeTheta,
      rms_norm_eps: eps,
      tie_word_embeddings: shape.tieWordEmbeddings,
      eos_token_id: eos,
      pad_token_id: config.pad_token_id ?? eos,
    },
    token_paths: parts.tokens,
    mask_paths: parts.masks,
    dtype: parts.dtype,
    sequence_length: sequenceLength,
    batch_size: batchSize,
    micro_batch_size: microBatchSize,
    learning_rate: options.learningRate ?? 8e-5,
    weight_decay: options.weightDecay ?? 0,
    warmup: options.warmup ?? 0.03,
    max_grad_norm: 1,
    steps: options.steps ?? null,
    epochs: options.epochs ?? 3,
    checkpoint_interval: options.checkpointInterval ?? 250,
    keep: 3,
    start: join(out, 'start', 'model_and_optim'),
    save_folder: join(out, 'checkpoints'),
    work_dir: join(out, 'work'),
    config,
  }
  return { values, notes }
}

/** How long rows are, and how many a step and a pass have. */
function rowsOf(options: LaunchOptions, longest: number) {
  const processes = (options.nprocPerNode ?? 1) * (options.nnodes ?? 1)
  const sequenceLength = options.sequenceLength ?? powerOfTwo(Math.min(longest, LONGEST))
  const microBatchSize = options.microBatchSize ?? 1
  const batchSize = options.batchSize ?? 8 * processes
  if (powerOfTwo(sequenceLength) !== sequenceLength) {
    const message = `is ${sequenceLength}, but OLMo-core takes powers of two`
    throw new OptionError('sequenceLength', message)
  }
  if (batchSize % (microBatchSize * processes) !== 0) {
    const message = `is ${batchSize}, no multiple of ${processes} processes with ${microBatchSize} rows each`
    throw new OptionError('batchSize', message)
  }
  return { sequenceLength, microBatchSize, batchSize }
}

const powerOfTwo = (n: number): number => 2 ** Math.floor(Math.log2(n))
