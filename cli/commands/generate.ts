import type { Command, OptionValues } from 'commander'

import type { ChatMessage, Completion, Generation, Olmo2, Piece } from '../../src/index.js'
import { addGenerationOptions, generationOptions, noteUnused } from '../generation-options.js'
import { readText } from '../input.js'
import { interruptible } from '../interrupt.js'
import { addLoadOptions, loadModel } from '../model-options.js'
import { isRead, note, write, writeData, writeJson } from '../output.js'
import { stats } from '../ui/stats.js'

export function generate(program: Command): void {
  const command = program
    .command('generate')
    .description('continue a text, or answer it with --chat')
    .argument('[prompt]', 'the text (default: standard input)')
    .option('-f, --prompt-file <file>', 'read the text from a file')
    .option('--chat', 'send the text as a message to the assistant')
    .option('--system <text>', 'system message for the assistant; implies --chat')
    .option('--json', 'write one JSON object per line: each token, then a summary')
    .option('--stats', 'print speed and timings afterwards')
  addGenerationOptions(addLoadOptions(command)).action(run)
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const prompt = await readText(argument, values.promptFile)
  await interruptible(async (signal) => {
    await using model = await loadModel(values, signal)
    const generation = start(model, prompt, values, signal)
    // Whoever reads along sees one text. Another program does not get it.
    if (continues(values) && isRead()) await write(prompt, 'dim')
    const answers = await (values.json ? printJson(generation) : printText(generation, values))
    noteUnused(generation)
    if (values.stats) for (const answer of answers) note(stats(answer), 'dim')
  })
}

/** Whether one text goes on, as it comes: no chat, no JSON, no several answers. */
const continues = ({ chat, system, json, numReturnSequences }: OptionValues) =>
  !chat && system === undefined && !json && numReturnSequences === undefined

type Answers = Generation<Completion | Completion[]>

function start(model: Olmo2, prompt: string, values: OptionValues, signal: AbortSignal): Answers {
  const options = { ...(values.json && { logprobs: true }), ...generationOptions(values), signal }
  if (!values.chat && values.system === undefined) return model.generate(prompt, options)
  const messages: ChatMessage[] = [{ role: 'user', content: prompt }]
  if (values.system !== undefined) messages.unshift({ role: 'system', content: values.system })
  return model.chat(messages, options)
}

async function printText(generation: Answers, values: OptionValues): Promise<Completion[]> {
  if (values.numReturnSequences !== undefined) return printSeveral(await whole(generation))
  for await (const { text } of generation) if (text) await writeData(text)
  await writeData('\n')
  return whole(generation)
}

/** Several answers come token by token in turn, so they are shown when they are whole. */
async function printSeveral(answers: Completion[]): Promise<Completion[]> {
  await writeData(answers.map(({ text }) => `${text}\n`).join('---\n'))
  return answers
}

async function printJson(generation: Answers): Promise<Completion[]> {
  for await (const piece of generation) await writeJson(tokenLine(piece))
  const answers = await whole(generation)
  for (const answer of answers) await writeJson(doneLine(answer))
  return answers
}

function tokenLine({ token, text, logprob, top, index }: Piece): object {
  return { type: 'token', id: token, text, logprob, top: top?.map(withId), index }
}

function doneLine({ text: _, tokens: __, promptTokens, ...rest }: Completion): object {
  const prompt = promptTokens?.map(({ top, ...token }) => ({
    ...withId(token),
    top: top?.map(withId),
  }))
  return { type: 'done', ...rest, promptTokens: prompt }
}

/** In JSON a token's number is its `id` everywhere. */
function withId<T extends { token: number }>({ token, ...rest }: T): { id: number } {
  return { id: token, ...rest }
}

async function whole(generation: Answers): Promise<Completion[]> {
  const result = await generation
  return Array.isArray(result) ? result : [result]
}
