// Opens the page of an evaluation in headless Chromium, uses it, and takes pictures of it for the eye:
//   npm run build:ts && node scripts/browser/check.mjs [folder for the pictures]

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { writeEvaluationReport } from '../../dist/src/evaluate/index.js'
import { launch, theme } from './browser.mjs'
import { HOSTILE, writeEvaluation } from './documents.mjs'

const temporary = await mkdtemp(join(tmpdir(), 'olmo2-browser-'))
const pictures = resolve(process.argv[2] ?? 'target/browser')
await mkdir(pictures, { recursive: true })
try {
  const documents = await writeEvaluation(join(temporary, 'evaluation'))
  const page = await writeEvaluationReport(join(temporary, 'evaluation'))
  const browser = await launch(temporary)
  try {
    for (const colorScheme of ['light', 'dark']) await look(browser, page, colorScheme, documents)
  } finally {
    await browser.close()
  }
  console.log(`the page does what it should; pictures are in ${pictures}`)
} finally {
  await rm(temporary, { recursive: true, force: true })
}

async function look(browser, file, colorScheme, documents) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1100, height: 900 } })
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => complaints.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    return dialog.dismiss()
  })
  const url = pathToFileURL(file).href
  page.on('request', (request) => {
    if (request.url() !== url) complaints.push(`request: ${request.url()}`)
  })
  await page.goto(url)
  await page.screenshot({ path: join(pictures, `${colorScheme}-top.png`) })
  await filters(page, documents)
  await opened(page, documents)
  await page.screenshot({ path: join(pictures, `${colorScheme}.png`), fullPage: true })
  await theme(page, colorScheme)
  await page.setViewportSize({ width: 390, height: 800 })
  await page.screenshot({ path: join(pictures, `${colorScheme}-narrow.png`) })
  const width = await page.evaluate('document.documentElement.scrollWidth')
  assert.ok(width <= 390, `no sideways scrolling on a phone: ${width}`)
  assert.deepEqual(complaints, [])
  await context.close()
}

/** Items that the list shows. */
function items(page) {
  return page.locator('#documents > details').count()
}

/** What is said of how many there are. */
function count(page) {
  return page.locator('#count').textContent()
}

async function filters(page, documents) {
  const total = documents.length
  assert.match(await count(page), new RegExp(`^${total} of ${total} documents; \\d+ of \\d+ right`))
  assert.equal(await items(page), 50)
  await page.click('#more')
  assert.equal(await items(page), 100)
  const expect = async (wanted, about) => {
    const found = documents.filter(wanted).length
    assert.ok(found > 0, about)
    assert.match(await count(page), new RegExp(`^${found} of ${total} documents`), about)
    assert.equal(await items(page), Math.min(50, found), about)
  }
  await page.selectOption('#task', 'arc_easy')
  await expect(({ label }) => label === 'arc_easy', 'a task')
  assert.equal(await page.locator('#subject').isVisible(), false)
  await page.selectOption('#outcome', 'right')
  await expect(({ label, correct }) => label === 'arc_easy' && correct, 'what is right in a task')
  await page.selectOption('#task', 'mmlu_stem_test_mc_5shot')
  await page.selectOption('#subject', HOSTILE[1])
  await page.selectOption('#outcome', 'wrong')
  await expect((one) => one.subject === HOSTILE[1] && one.correct === false, 'a subject')
  await page.selectOption('#outcome', 'failed')
  await page.selectOption('#subject', '')
  await expect(({ error }) => error !== undefined, 'what failed')
  await page.selectOption('#task', '')
  await page.selectOption('#outcome', '')
  await page.fill('#search', 'IS NUMBER 17?')
  await expect(({ doc_id }) => doc_id === 17, 'a search')
  await page.fill('#search', '<img src=x onerror')
  await expect((one) => JSON.stringify(one).includes('<img src=x onerror'), 'a hostile search')
}

/** A text as the page writes it: what shows nothing is an escape. */
function seen(text) {
  const escapes = { '\0': '\\u0000', '\u001b': '\\u001b', '\u202c': '\\u202c', '\u202e': '\\u202e' }
  return [...text].map((one) => escapes[one] ?? one).join('')
}

async function opened(page, documents) {
  await page.fill('#search', 'is number 21?')
  const first = page.locator('#documents > details').first()
  await first.locator('summary').click()
  const [document] = documents.filter(({ doc_id }) => doc_id === 21)
  assert.equal(await first.locator('pre').first().textContent(), seen(document.prompt))
  assert.equal(await first.locator('tbody tr').count(), 4)
  const texts = await first.locator('td pre').allTextContents()
  const expected = document.choices.map(({ text }) => seen(text))
  assert.deepEqual(texts, expected)
  assert.equal(await page.locator('#documents img, #documents script, #documents a').count(), 0)
}
