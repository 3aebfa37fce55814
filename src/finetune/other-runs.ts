import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { CheckpointError, OptionError } from '../errors.js'
import { fileSize } from '../files.js'
import type { LaunchOptions, LaunchPlan } from './launch-options.js'
import { torchrun } from './torchrun.js'

/**
 * Open Instruct's recommended program, `open_instruct/olmo_core_finetune.py`: once to prepare the data, then
 * with torchrun. Both calls need the same model, tokenizer, template, length, mixer and seed.
 *
 * Source of the flags: allenai/open-instruct e6c3044.
 */
export async function planOpenInstruct(
  options: LaunchOptions,
  model: string,
  python: string,
): Promise<LaunchPlan> {
  const program = await programIn(options, 'open_instruct/olmo_core_finetune.py', 'Open Instruct')
  const out = resolve(options.out)
  const file = await conversationsIn(options.data)
  const shared = [
    ...['--model_name_or_path', model, '--tokenizer_name_or_path', model],
    ...['--chat_template_name', 'olmo', '--max_seq_length', `${options.sequenceLength ?? 4096}`],
    ...['--mixer_list', file, '1.0', '--seed', `${options.seed ?? 42}`],
    ...['--local_cache_dir', join(out, 'cache')],
    ...(options.trainerArgs ?? []),
  ]
  const { nprocPerNode = 1, nnodes = 1, microBatchSize = 1 } = options
  const processes = nprocPerNode * nnodes
  const accumulation = Math.max(
    1,
    (options.batchSize ?? 8 * processes) / processes / microBatchSize,
  )
  const training = [
    ...['--per_device_train_batch_size', `${microBatchSize}`],
    ...['--gradient_accumulation_steps', `${accumulation}`],
    ...['--learning_rate', `${options.learningRate ?? 8e-5}`],
    ...['--warmup_ratio', `${options.warmup ?? 0.03}`],
    ...['--weight_decay', `${options.weightDecay ?? 0}`],
    ...(options.steps === undefined ? [] : ['--max_train_steps', `${options.steps}`]),
    ...['--num_epochs', `${options.epochs ?? 3}`, '--max_grad_norm', '1.0'],
    ...['--output_dir', join(out, 'checkpoints')],
    ...['--checkpointing_steps', `${options.checkpointInterval ?? 500}`],
  ]
  return {
    files: [],
    commands: [
      { about: 'the data', argv: [python, program, ...shared, '--cache_dataset_only'] },
      {
        about: 'the training',
        argv: [...torchrun(options, python), program, ...shared, ...training],
      },
    ],
    notes: [],
  }
}

/** OLMo's `scripts/train.py`, of whose config the run's data and start are given by flags. */
export async function planOlmo(
  options: LaunchOptions,
  model: string,
  python: string,
): Promise<LaunchPlan> {
  const program = await programIn(options, 'scripts/train.py', 'OLMo')
  if (options.config === undefined)
    throw new OptionError('config', "must name OLMo's YAML file of the run")
  const data = resolve(options.data)
  const [tokens, mask] = [join(data, 'input_ids.npy'), join(data, 'label_mask.npy')]
  const [ids, marks] = await Promise.all([fileSize(tokens), fileSize(mask)])
  if (ids === undefined || marks === undefined) {
    const message = `${options.data} holds no input_ids.npy and label_mask.npy: prepare it with the format olmo`
    throw new CheckpointError('IO', message)
  }
  const dtype = ids === 2 * marks ? 'uint16' : 'uint32'
  const flags = [
    `--data.paths=[${tokens}]`,
    `--data.label_mask_paths=[${mask}]`,
    `--data.memmap_dtype=${dtype}`,
    `--load_path=${model}`,
    '--reset_trainer_state',
    `--save_folder=${join(resolve(options.out), 'checkpoints')}`,
    ...(options.trainerArgs ?? []),
  ]
  return {
    files: [],
    commands: [
      {
        about: 'the training',
        argv: [...torchrun(options, python), program, resolve(options.config), ...flags],
      },
    ],
    notes: [`${model} must be in OLMo's own form: olmo2 convert --to olmo`],
  }
}

async function programIn(
  { source }: LaunchOptions,
  name: string,
  project: string,
): Promise<string> {
  if (source === undefined) {
    throw new OptionError(
      'source',
      `must name a checkout of ${project}, whose package lacks ${name}`,
    )
  }
  const program = join(resolve(source), name)
  if ((await fileSize(program)) !== undefined) return program
  throw new OptionError('source', `leads to ${source}, where there is no ${name}`)
}

/** The file of conversations that is named, or the one in a folder. */
async function conversationsIn(data: string): Promise<string> {
  if ((await fileSize(data)) !== undefined) return resolve(data)
  const names = (await readdir(data).catch(() => [])).filter((name) => name.endsWith('.jsonl'))
  const [name] = names
  if (names.length === 1 && name !== undefined) return join(resolve(data), name)
  const message = `${data} holds ${names.length} .jsonl files, where one has to be: prepare it with the format open-instruct, or name the file`
  throw new CheckpointError('IO', message)
}
