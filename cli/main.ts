#!/usr/bin/env node
import { Command } from 'commander'

import { packageVersion } from '../src/index.js'
import { bench } from './commands/bench.js'
import { cache } from './commands/cache.js'
import { chat } from './commands/chat.js'
import { completion } from './commands/completion.js'
import { convert } from './commands/convert.js'
import { doctor } from './commands/doctor.js'
import { evaluation } from './commands/eval.js'
import { finetune } from './commands/finetune/index.js'
import { generate } from './commands/generate.js'
import { help } from './commands/help.js'
import { info } from './commands/info.js'
import { parityCommand } from './commands/parity.js'
import { perplexity } from './commands/perplexity.js'
import { plot } from './commands/plot.js'
import { prepare } from './commands/prepare.js'
import { pull } from './commands/pull.js'
import { quantize } from './commands/quantize.js'
import { revisions } from './commands/revisions.js'
import { serve } from './commands/serve.js'
import { tokenize } from './commands/tokenize.js'
import { trace } from './commands/trace.js'
import { train } from './commands/train.js'
import { examplesOf, greeting } from './examples.js'
import { exitCode, explain, Interrupted } from './failure.js'
import { columns, isLive, note, write, writeHelp } from './output.js'
import { calledCommand, withSuggestion } from './suggestions.js'

const commands = [
  generate,
  chat,
  tokenize,
  info,
  pull,
  cache,
  revisions,
  trace,
  perplexity,
  evaluation,
  parityCommand,
  bench,
  serve,
  quantize,
  convert,
  prepare,
  train,
  finetune,
  plot,
  doctor,
  completion,
  help,
]

/** The options of the command that was called, by the library's names. */
function flagsOf(command: Command): string[] {
  return command.options.map((option) => option.attributeName())
}

const program = new Command('olmo2')
  .description('run OLMo 2 language models on this machine')
  .version(packageVersion)
  .option('--debug', 'show the stack trace of an error')
  .helpCommand(false)
  .showHelpAfterError('(--help lists commands and options)')
  .showSuggestionAfterError(false)
  .configureHelp({ helpWidth: columns() ?? 80, minWidthToWrap: 20 })
  .configureOutput({
    writeOut: writeHelp,
    writeErr: (text) => note(text.trimEnd()),
    outputError: (text, write) => write(withSuggestion(program, text)),
  })
  .exitOverride()
for (const add of commands) add(program)
for (const command of program.commands) {
  if (command.name() !== 'help') command.addHelpText('after', examplesOf(command.name()))
}

try {
  // commander takes a call without a command for a mistake.
  if (process.argv.length <= 2) await write(greeting(packageVersion))
  else await program.parseAsync()
} catch (error) {
  process.exitCode = exitCode(error)
  const text = explain(error, process.argv.includes('--debug'), flagsOf(calledCommand(program)))
  if (text) note(text)
  // So that the shell's prompt does not stand behind half an answer.
  else if (error instanceof Interrupted && isLive()) note('')
}
