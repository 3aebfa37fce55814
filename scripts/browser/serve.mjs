// Opens the server's page in headless Chromium, uses it with mouse and keyboard, and takes pictures of it for the eye:
//   npm run build && node scripts/browser/serve.mjs [folder for the pictures]

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { embeddedModel } from '../../dist/src/index.js'
import { serve } from '../../dist/src/serve/index.js'
import { launch, theme } from './browser.mjs'

const KEY = 'a-key-for-the-page'

const temporary = await mkdtemp(join(tmpdir(), 'olmo2-browser-'))
const pictures = resolve(process.argv[2] ?? 'target/browser')
await mkdir(pictures, { recursive: true })
const open = await serve({ port: 0 })
const locked = await serve({ port: 0, apiKeys: KEY, models: { mine: embeddedModel } })
try {
  const browser = await launch(temporary)
  try {
    for (const colorScheme of ['light', 'dark']) await look(browser, colorScheme)
    await unlock(browser)
  } finally {
    await browser.close()
  }
  console.log(`the page does what it should; pictures are in ${pictures}`)
} finally {
  await open.close(0)
  await locked.close(0)
  await rm(temporary, { recursive: true, force: true })
}

async function look(browser, colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1000, height: 800 } })
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => complaints.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('request', (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(open.url))
      complaints.push(`request: ${request.url()}`)
  })
  const picture = (name) => page.screenshot({ path: join(pictures, `${colorScheme}-${name}.png`) })
  await page.goto(open.url)
  await page.locator('#model option').nth(5).waitFor({ state: 'attached' })
  await chat(page)
  await picture('chat')
  await completion(page)
  await picture('completion')
  await page.keyboard.press('Escape')
  await trace(page)
  await picture('trace')
  await theme(page, colorScheme)
  await page.setViewportSize({ width: 390, height: 800 })
  for (const tab of ['chat', 'completion', 'trace']) {
    await page.click(`#tab-${tab}`)
    const width = await page.evaluate('document.documentElement.scrollWidth')
    assert.ok(width <= 390, `no sideways scrolling on a phone, in ${tab}: ${width}`)
  }
  await picture('narrow')
  // The one request that was wrong on purpose.
  const refused = complaints.shift() ?? ''
  assert.match(refused, /status of 400/)
  assert.deepEqual(complaints, [])
  await context.close()
}

/** Waits until nothing runs. */
function idle(page) {
  return page.locator('#send:not([disabled])').waitFor({ state: 'attached' })
}

async function chat(page) {
  await page.fill('#chat-tokens', '40')
  await page.focus('#say')
  await page.keyboard.type('<b>Hello</b>')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('there')
  await page.keyboard.press('Enter')
  await idle(page)
  const [question, answer] = await page.locator('.message').allTextContents()
  assert.equal(question, 'user<b>Hello</b>\nthere')
  assert.ok(answer.length > 'assistant'.length, answer)
  assert.equal(await page.locator('#messages b').count(), 0)
  await page.keyboard.type('And then?')
  await page.keyboard.press('Enter')
  await idle(page)
  assert.equal(await page.locator('.message').count(), 4)
  // What is refused can be said again.
  await page.fill('#chat-tokens', '-1')
  await page.fill('#say', 'Hi')
  await page.click('#send')
  await idle(page)
  assert.match(await page.locator('#error').textContent(), /max_tokens/)
  assert.equal(await page.inputValue('#say'), 'Hi')
  await page.fill('#chat-tokens', '40')
}

async function completion(page) {
  await page.focus('#tab-chat')
  await page.keyboard.press('ArrowRight')
  assert.equal(await page.locator('#panel-completion').isVisible(), true)
  assert.equal(await page.locator('#panel-chat').isVisible(), false)
  await page.fill('#temperature', '0')
  await page.fill('#tokens', '24')
  await page.focus('#prompt')
  await page.keyboard.press('Control+Enter')
  await idle(page)
  const tokens = page.locator('#text .token')
  assert.ok((await tokens.count()) >= 24)
  assert.ok((await page.locator('#text').textContent()).startsWith('Once upon a time'))
  await tokens.nth(6).hover()
  const box = page.locator('#alternatives')
  assert.equal(await box.isVisible(), true)
  assert.ok((await box.locator('div').count()) >= 8)
  assert.equal(await box.locator('.here').count(), 1)
  assert.match(await box.locator('div').first().textContent(), /\d+\.\d %$/)
  await tokens.first().focus()
  for (let step = 0; step < 8; step += 1) await page.keyboard.press('ArrowRight')
  const focused = await page.evaluate('document.activeElement.textContent')
  assert.equal(focused, await tokens.nth(8).textContent())
  assert.equal(await box.isVisible(), true)
}

async function trace(page) {
  await page.click('#tab-trace')
  await page.click('#trace')
  await idle(page)
  assert.equal(await page.locator('#rows tr').count(), 7)
  assert.equal(await page.locator('#chart circle').count(), 7)
  const first = Number(
    (await page.locator('#rows tr td.number').first().textContent()).replace('−', '-'),
  )
  const last = Number(
    (await page.locator('#rows tr td.number').last().textContent()).replace('−', '-'),
  )
  assert.ok(last > first, `the model learns: ${first}, then ${last}`)
  assert.ok(Math.abs(last) < 1)
}

/** A server with keys asks for one, and the page goes on with it. */
async function unlock(browser) {
  const page = await browser.newPage()
  await page.goto(locked.url)
  await page.waitForSelector('#key-row:not([hidden])')
  await page.fill('#key', 'wrong')
  await page.keyboard.press('Enter')
  await page.locator('#error', { hasText: 'not one of this server' }).waitFor()
  await page.fill('#key', KEY)
  await page.keyboard.press('Enter')
  await page.locator('#model option[value=mine]').waitFor({ state: 'attached' })
  assert.equal(await page.locator('#key-row').isVisible(), false)
  await page.close()
}
