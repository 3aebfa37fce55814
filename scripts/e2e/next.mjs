import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { execa } from 'execa'

import { nodes } from './tools.mjs'

/** Installs Next.js beside olmo2, builds the example's route handler, and asks the server that is then started. */
export async function checkNext({ place, tools, env }) {
  const folder = join(place, 'next')
  const route = join(folder, 'app/api/generate')
  await mkdir(route, { recursive: true })
  await copyFile(resolve('examples/next-route.mjs'), join(route, 'route.js'))
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const config = `export default { serverExternalPackages: ['olmo2'] }\n`
  await writeFile(join(folder, 'next.config.mjs'), config)
  const options = { cwd: folder, env: { ...env, NEXT_TELEMETRY_DISABLED: '1' }, extendEnv: false }
  const packages = ['olmo2', 'next@^16.4.6', 'react@^19.0.0', 'react-dom@^19.0.0']
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
  await execa('npm', ['install', ...packages, ...quiet], { ...options, all: true })
  const [{ program: node }] = nodes(tools)
  const next = join(folder, 'node_modules/next/dist/bin/next')
  await execa(node, [next, 'build'], { ...options, all: true })
  const text = await answer(
    node,
    [next, 'start', '--hostname', '127.0.0.1', '--port', '0'],
    options,
  )
  if (text.length < 20) throw new Error(`Next.js answers: ${text}`)
  console.log(`next.js, a route handler: ${JSON.stringify(text.slice(0, 40))}`)
}

/** What the route handler says, once the server says that it is ready and where. */
async function answer(node, args, options) {
  const server = execa(node, args, { ...options, reject: false })
  const said = []
  let text = ''
  for await (const line of server) {
    said.push(line)
    if (!line.includes('Ready')) continue
    const [, url] = /Local: +(\S+)/.exec(said.join('\n')) ?? []
    const response = await fetch(`${url}/api/generate?prompt=Once+upon+a+time`)
    text = `${response.ok ? '' : response.status}${await response.text()}`
    server.kill()
  }
  return text || said.join('\n')
}
