import { createHash } from 'node:crypto'
import { Script } from 'node:vm'

import test from 'ava'

import { started } from './setup.js'

const server = await started(test, { apiKeys: 'key' })

/** The page, and what is in an element of it. */
async function load() {
  const answer = await fetch(`${server.url}/`)
  const html = await answer.text()
  const part = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(html)?.[1] ?? ''
  return { answer, html, part }
}

test('the page comes without a key, and may run its own script alone', async (t) => {
  const { answer, part } = await load()
  t.is(answer.status, 200)
  t.is(answer.headers.get('content-type'), 'text/html; charset=utf-8')
  const policy = answer.headers.get('content-security-policy') ?? ''
  const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  t.true(policy.includes(`script-src ${digest(part('script'))};`))
  t.true(policy.includes(`style-src ${digest(part('style'))};`))
  t.regex(policy, /^default-src 'none';/)
  t.notRegex(policy, /unsafe|\*|https?:/)
})

test('it is one file that names nothing elsewhere', async (t) => {
  const { html, part } = await load()
  t.notRegex(html, /\bsrc=|<link(?! rel="icon" href="data:,">)|@import|url\(/)
  const addresses = html.match(/https?:\/\/[^'"\s]+/g) ?? []
  t.deepEqual(addresses, ['http://www.w3.org/2000/svg'])
  t.notRegex(part('script'), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/)
})

test('its script is one, and finds every element it asks for', async (t) => {
  const { html, part } = await load()
  const script = part('script')
  t.notThrows(() => new Script(script))
  const asked = [...script.matchAll(/byId\('([\w-]+)'\)/g)].map(([, id]) => id ?? '')
  t.true(asked.length > 20)
  for (const id of asked) t.true(html.includes(`id="${id}"`), id)
  const labelled = [...html.matchAll(/<(?:input|textarea|select)\b[^>]*>/g)]
  t.is((html.match(/<label\b/g) ?? []).length, labelled.length)
})
