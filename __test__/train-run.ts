import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const NAMES = 'Anna Ben Clara David Emma Finn Greta Hugo Ida Jonas Kate Leo Mary Noah Olga Paul'
const KINDS = 'dog cat bird fox bear mouse horse goat duck frog sheep hen'
const DEEDS = 'ran slept sang jumped waited laughed cried worked played walked looked sat'
const PLACES = 'river hill garden house forest meadow bridge barn lake school market mill'
const words = (text: string) => text.split(' ')

/** A made-up story, another for every number; the same number always gives the same. */
export function story(number: number): string {
  let state = (number + 1) * 2654435761
  const pick = (list: string) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const choices = words(list)
    return choices[Math.floor((state / 2 ** 32) * choices.length)] ?? ''
  }
  const sentence = () =>
    `The little ${pick(KINDS)} ${pick(DEEDS)} near the ${pick(PLACES)}, and ${pick(NAMES)} ${pick(DEEDS)} by the ${pick(PLACES)}.`
  return Array.from({ length: 6 }, sentence).join(' ')
}

/** Writes a source of text, `stories.txt`, into a new folder. */
export async function writeStories(folder: string, count = 200): Promise<void> {
  await mkdir(folder, { recursive: true })
  const stories = Array.from({ length: count }, (_, number) => story(number))
  await writeFile(join(folder, 'stories.txt'), `${stories.join('\n<|endoftext|>\n')}\n`)
}

/** The config of a run of a second or two, beside `data/`. */
export function trainYaml(output: string, heldOutBytes: number): string {
  return `model:
  vocab_size: 400
  hidden_size: 48
  intermediate_size: 96
  num_hidden_layers: 2
  num_attention_heads: 2
  max_position_embeddings: 64
  rope_theta: 10000
  tie_word_embeddings: true
  eos_token_id: 379
  pad_token_id: 399
output: ${output}
tokenizer: data/tokenizer
sequence_length: 64
batch_size: 8
micro_batch_size: 8
threads: 1
stage1:
  data:
    - { name: stories, paths: [data/train/stories.npy] }
  steps: 60
  learning_rate: 0.01
  warmup_steps: 10
stage2:
  data:
    - { name: stories, paths: [data/train/stories.npy] }
  steps: 10
checkpoint:
  interval: 30
validation:
  interval: 30
  sources:
    - { name: stories, paths: [data/validation/stories.npy], bytes: ${heldOutBytes} }
`
}
