import { type Command, InvalidArgumentError, Option, type OptionValues } from 'commander'

import { type EngineOption, type GenerateManyOptions, optionKinds } from '../src/index.js'
import { toFlag, toNumber } from './flags.js'

/** What the help says of each option of a generation, in the order it lists them. */
const help: Record<EngineOption, string> = {
  maxNewTokens: 'tokens to generate at most (default 128)',
  minNewTokens: 'tokens to generate before an end token may come',
  doSample: 'draw from the distribution instead of taking the likeliest token',
  temperature: 'divide the logits by this before drawing (default 1)',
  topK: 'draw among this many likeliest tokens; 0: among all (default 50)',
  topP: 'draw among the likeliest tokens that make up this probability (default 1)',
  minP: 'draw among tokens at least this times as likely as the likeliest',
  typicalP: 'draw among the most typical tokens that make up this probability (default 1)',
  repetitionPenalty: 'above 1, make tokens that came before less likely (default 1)',
  noRepeatNgramSize: 'let no run of this many tokens come twice',
  badWordsIds: 'token ids, as in 12,34, that may not come in a row; repeatable',
  eosTokenId: 'token that ends the answer (default: as the checkpoint says); repeatable',
  stopStrings: 'text that ends the answer; repeatable',
  numReturnSequences: 'independent answers (default 1)',
  seed: 'seed of the draws: the same seed gives the same text',
  promptLookupNumTokens: 'guess this many tokens at a time from the text so far; 0: none (default)',
  maxMatchingNgramSize: 'tokens compared to find what to guess from (default 8)',
  skipSpecialTokens: 'leave special tokens out of the text (default)',
  logprobs: 'give log-probabilities, with --json (default there)',
  topLogprobs: 'give this many likeliest alternatives of each token, with --json',
  promptLogprobs: "give log-probabilities of the prompt's tokens too, with --json",
}

const names = Object.keys(help) as EngineOption[]

/** Adds a flag for every option of a generation to a command, but for those it has no use for. */
export function addGenerationOptions(command: Command, useless: EngineOption[] = []): Command {
  const useful = names.filter((name) => !useless.includes(name))
  for (const option of useful.flatMap(flags)) command.addOption(option)
  return command
}

/** The options of a generation among those a command was given. */
export function generationOptions(values: OptionValues): GenerateManyOptions {
  const given = names.filter((name) => values[name] !== undefined)
  return Object.fromEntries(given.map((name) => [name, values[name]]))
}

function flags(name: EngineOption): Option[] {
  const flag = toFlag(name)
  const group = 'Generation:'
  switch (optionKinds[name]) {
    case 'flag': {
      // Each can also be switched off, for a checkpoint that has it on.
      const on = new Option(flag, help[name]).helpGroup(group)
      const off = new Option(flag.replace('--', '--no-'), `do not ${help[name]}`).hideHelp()
      return [on, off]
    }
    case 'count':
    case 'number':
      return [named(flag, '<n>', name, toNumber)]
    case 'seed':
      return [named(flag, '<n>', name, toBigInt)]
    case 'ids':
      return [
        named(flag, '<ids>', name, (text, before: number[] = []) => [...before, ...toIds(text)]),
      ]
    case 'idLists':
      return [
        named(flag, '<ids>', name, (text, before: number[][] = []) => [...before, toIds(text)]),
      ]
    case 'texts':
      return [named(flag, '<text>', name, (text, before: string[] = []) => [...before, text])]
  }
  function named<T>(
    flag: string,
    value: string,
    name: EngineOption,
    parse: (text: string, before: T | undefined) => T,
  ): Option {
    const option = new Option(`${flag} ${value}`, help[name]).helpGroup(group)
    // `--no-repeat-ngram-size` is a name, not the opposite of `--repeat-ngram-size`.
    option.negate = false
    return option.argParser(parse as (text: string, before: unknown) => T)
  }
}

function toBigInt(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It is no whole number from 0 on.')
  return BigInt(text)
}

function toIds(text: string): number[] {
  return text.split(/[\s,]+/).map((id) => {
    if (!/^\d+$/.test(id)) throw new InvalidArgumentError('Token ids are numbers, as in 12,34.')
    return Number(id)
  })
}
