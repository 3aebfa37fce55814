import { cp, mkdir, readdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { execa } from 'execa'

import { nodes } from './tools.mjs'

/**
 * Installs olmo2 in an empty folder, as a stranger would: with nothing on the PATH but Node and npm, an empty
 * home, and no script of a package run that npm does not run by itself.
 *
 * @returns The folder, with the samples in it, and the environment to run them in
 */
export async function installations({ place, tools, registry, target }) {
  const env = await bareEnvironment(place, tools, registry)
  const app = join(place, 'app')
  await mkdir(app)
  await writeFile(join(app, 'package.json'), '{"private":true,"type":"module"}')
  const run = (args, folder = app) =>
    execa('npm', args, { cwd: folder, env, extendEnv: false, all: true })
  await run(['install', 'olmo2', '--no-audit', '--no-fund'])
  const installed = (await readdir(join(app, 'node_modules'))).filter((name) =>
    name.startsWith('olmo2'),
  )
  if (installed.join() !== `olmo2,olmo2-${target}`) throw new Error(`npm installed ${installed}`)
  const { stdout } = await run([
    'exec',
    '--no',
    '--',
    'olmo2',
    'generate',
    'Once upon a time',
    '--max-new-tokens',
    '4',
  ])
  console.log(`npx olmo2 generate: ${JSON.stringify(stdout)}`)

  const { stdout: found } = await run([
    'exec',
    '--no',
    '--',
    'olmo2',
    'doctor',
    '--offline',
    '--json',
  ])
  const { engine } = JSON.parse(found)
  if (!engine.works) throw new Error(`olmo2 doctor: ${found}`)
  console.log(`olmo2 doctor: ${engine.file} works`)

  await cp(resolve('scripts/e2e/samples'), app, { recursive: true })
  await compileSamples(app, tools, env)
  await checkOmitted({ place, env, target })
  await checkTrace(place, env)
  return { app, env }
}

/** What a machine has that has Node and nothing else. */
async function bareEnvironment(place, tools, registry) {
  const bin = join(place, 'bin')
  const home = join(place, 'home')
  await mkdir(bin, { recursive: true })
  await mkdir(home)
  const [{ program }] = nodes(tools)
  await symlink(program, join(bin, 'node'))
  const { stdout: npm } = await execa('which', ['npm'])
  await symlink(await realpath(npm), join(bin, 'npm'))
  // npm runs commands of packages in a shell.
  await symlink('/bin/sh', join(bin, 'sh'))
  return {
    PATH: bin,
    HOME: home,
    npm_config_registry: registry.url,
    npm_config_update_notifier: 'false',
    ...proxies(),
  }
}

/** How this machine reaches npm's registry, if not by itself. */
function proxies() {
  const names = /^((https?|no)_proxy|node_extra_ca_certs|npm_config_cafile|ssl_cert_file)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.test(name)))
}

/** Compiles the sample in TypeScript, the package's types with it. */
async function compileSamples(app, tools, env) {
  const [{ program }] = nodes(tools)
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
  const roots = ['--typeRoots', resolve('node_modules/@types')]
  const tsc = join(tools, 'typescript/bin/tsc')
  await execa(program, [tsc, ...options, ...roots, 'typed.ts'], { cwd: app, env, extendEnv: false })
}

/** Without optional packages the error names the package and the way out. */
async function checkOmitted({ place, env, target }) {
  const folder = join(place, 'omitted')
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  const options = { cwd: folder, env, extendEnv: false, reject: false, all: true }
  const flags = ['--omit=optional', '--no-audit', '--no-fund']
  await execa('npm', ['install', 'olmo2', ...flags], { ...options, reject: true })
  const command = ['node_modules/olmo2/dist/cli/main.js', 'generate', 'a']
  const { exitCode, all } = await execa(
    join(dirname(join(env.PATH, 'x')), 'node'),
    command,
    options,
  )
  const told = all.includes(`olmo2-${target}, the package`) && all.includes('--omit=optional')
  if (exitCode !== 1 || !told) throw new Error(`without optional packages it says: ${all}`)
  console.log(`without optional packages: ${all}`)
}

/** Without a run, `olmo2 trace` says how to get the one that its package has, and with that it needs no more. */
async function checkTrace(place, env) {
  const folder = join(place, 'trace')
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  const options = { cwd: folder, env, extendEnv: false, all: true }
  const install = (name) => execa('npm', ['install', name, '--no-audit', '--no-fund'], options)
  const trace = () => {
    const what = ['--prompt', 'Once upon a', '--continuation', ' time', '--max-new-tokens', '0']
    const command = ['exec', '--no', '--', 'olmo2', 'trace', ...what, '--json']
    return execa('npm', command, { ...options, reject: false })
  }
  await install('olmo2')
  const { exitCode, stderr } = await trace()
  const [, name] = /npm install (\S+)/.exec(stderr) ?? []
  if (exitCode !== 2 || !name) throw new Error(`olmo2 trace without a run says: ${stderr}`)
  await install(name)
  const { stdout, all, exitCode: failed } = await trace()
  if (failed !== 0) throw new Error(`olmo2 trace: ${all}`)
  console.log(`npm install ${name}; olmo2 trace: ${stdout.split('\n').length} lines`)
}
