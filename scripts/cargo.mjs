// What the scripts that build ask of cargo and its like.
import { spawnSync } from 'node:child_process'

/** What a program prints; its standard error is ours. Ends this process if it fails. */
export function run(program, args, env = process.env) {
  const options = {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  }
  const { error, status, stdout } = spawnSync(program, args, options)
  if (error?.code === 'ENOENT') {
    console.error(`${program} was not found: building olmo2 takes Rust, see https://rustup.rs`)
    process.exit(1)
  }
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
  return stdout
}

/** The triple of this machine. */
export const hostTriple = () => run('rustc', ['-vV']).match(/^host: (.+)$/m)[1]

/** Builds the addon's crate with a command of cargo's; the path of the library. */
export function buildAddon(args, env = process.env, command = 'build') {
  const all = [command, '--package', 'olmo-node', '--message-format=json-render-diagnostics']
  const messages = run('cargo', [...all, ...args], env)
  const artifacts = messages
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const addon = artifacts.find(({ target }) => target?.name === 'olmo_node')
  return addon.filenames.find((file) => /\.(so|dylib|dll)$/.test(file))
}
