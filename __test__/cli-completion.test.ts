import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execa } from 'execa'

import { describe } from '../cli/completion/tree.js'
import { command, olmo2, temporaryFolder } from './support.js'

type Shell = 'bash' | 'zsh' | 'fish'

const script = async (shell: string) => (await olmo2(['completion', shell])).stdout
const isHere = (shell: Shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0

/** What a shell offers at the end of a line; without what it says of each. */
const offered: Record<Shell, (line: string[]) => Promise<string[]>> = {
  bash: async (line) => {
    const program = `${await script('bash')}
      COMP_WORDS=(olmo2 "$@"); COMP_CWORD=$#; _olmo2; printf '%s\\n' "\${COMPREPLY[@]}"`
    return words((await execa('bash', ['-c', program, 'bash', ...line])).stdout)
  },
  // The functions that show what is offered print it: a terminal is needed to see more.
  zsh: async (line) => {
    const program = `compdef() { }
      ${await script('zsh')}
      _describe() { print -l -- "\${(@)\${(P)@[-1]}%%:*}" }
      compadd() { shift; print -l -- "$@" }
      _files() { print FILES }
      words=(olmo2 "$@"); CURRENT=$#words; _olmo2`
    return words((await execa('zsh', ['-f', '-c', program, 'zsh', ...line])).stdout)
  },
  fish: async (line) => {
    const file = join(await temporaryFolder(), 'olmo2.fish')
    await writeFile(file, await script('fish'))
    const text = `olmo2 ${line.join(' ')}`
    const program = `source ${file}; complete --do-complete '${text}'`
    const home = await temporaryFolder()
    const env = { HOME: home, XDG_CONFIG_HOME: home }
    const { stdout } = await execa('fish', ['--no-config', '-c', program], { env, cwd: home })
    return words(stdout).map((one) => one.split('\t')[0] ?? '')
  },
}

const words = (text: string) => text.split('\n').filter((word) => word !== '')

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} completes commands, flags and their values`, async (t) => {
    if (!isHere(shell)) {
      // Its script is held to the commands below.
      t.log(`${shell} is not on this machine`)
      t.true((await script(shell)).includes('olmo2'))
      return
    }
    const at = offered[shell]
    const commands = await at([''])
    for (const name of ['generate', 'cache', 'doctor', 'completion'])
      t.true(commands.includes(name), `${name} of ${commands}`)
    const under = (await at(['cache', ''])).filter((word) => word !== 'FILES')
    t.deepEqual(under.toSorted(), ['list', 'load', 'prune', 'remove', 'save', 'verify'])
    const flags = await at(['generate', '--'])
    for (const flag of ['--model', '--max-new-tokens', '--no-do-sample', '--help'])
      t.true(flags.includes(flag), `${flag} of ${flags}`)
    t.false(flags.includes('--fix'))
    t.true((await at(['cache', 'verify', '--f'])).includes('--fix'))
    t.true((await at(['generate', 'a text', '--dtype', ''].map(quotedFor(shell)))).includes('q8_0'))
    t.true((await at(['generate', '--device', ''])).includes('software-gpu'))
    t.deepEqual(await at(['generate', '--max-new-tokens', '']), [])
    t.deepEqual(
      (await at(['completion', 'fi'])).filter((word) => word.startsWith('fi')),
      ['fish'],
    )
    const shells = ['bash', 'fish', 'powershell', 'zsh']
    t.deepEqual(
      (await at(['completion', ''])).filter((word) => shells.includes(word)).toSorted(),
      shells,
    )
  })
}

/** fish is given a line, the others words. */
const quotedFor = (shell: Shell) => (word: string) =>
  shell === 'fish' && word.includes(' ') ? `"${word}"` : word

test('bash completes a value after a sign of equality', async (t) => {
  const { bash } = offered
  t.deepEqual(await bash(['generate', '--dtype', '=', 'q8']), ['q8_0'])
  t.true((await bash(['generate', '--dtype', '='])).includes('bf16'))
})

test('every command and flag is in every script', async (t) => {
  const { Command } = await import('commander')
  const help = words((await olmo2(['help'])).stdout)
  const names = help.flatMap((line) => /^ {2}([a-z]+) (?:\[|<| )/.exec(line)?.[1] ?? [])
  t.true(names.length >= 16, String(names))
  for (const shell of ['bash', 'zsh', 'fish', 'powershell']) {
    const text = await script(shell)
    for (const name of names) t.true(text.includes(name), `${name} in ${shell}`)
    for (const flag of ['model', 'max-new-tokens', 'cache-dtype', 'overflow', 'imatrix'])
      t.true(text.includes(flag), `${flag} in ${shell}`)
  }
  // Whatever a description holds, it stays inside of its quotes.
  const odd = new Command('olmo2')
  odd
    .command('it')
    .description('it\'s `$(exit 7)` "here": $HOME')
    .option('--an-option <x>', "don't; $(exit 7)")
  const { shells } = await import('../cli/completion/index.js')
  const folder = await temporaryFolder()
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    if (!isHere(shell)) continue
    const file = join(folder, shell)
    await writeFile(file, shells[shell](describe(odd)))
    const before = shell === 'zsh' ? 'compdef() { }; ' : ''
    const { exitCode, stderr } = await execa(shell, ['-c', `${before}source ${file}; echo`], {
      reject: false,
    })
    t.is(exitCode, 0, stderr)
    t.is(stderr, '')
  }
  t.true(shells.powershell(describe(odd)).includes("'it it''s `$(exit 7)` \"here\": $HOME'"))
})

test('an unknown shell is refused by name', async (t) => {
  const { exitCode, stderr } = await olmo2(['completion', 'tcsh'])
  t.is(exitCode, 2)
  t.regex(stderr, /bash, zsh, fish, powershell/)
  t.regex(command, /main\.js$/)
})
