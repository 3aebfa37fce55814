// Headless Chromium for the checks of pages beside this file, and what they have in common. Debian's package
// `chromium` is enough; CHROMIUM names another binary. playwright-core, which drives it, is fetched into a folder.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

const PLAYWRIGHT = 'playwright-core@1.65.1'

export async function launch(folder) {
  await promisify(execFile)('npm', ['install', '--silent', '--prefix', folder, PLAYWRIGHT])
  const { chromium } = createRequire(join(folder, 'x.js'))('playwright-core')
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  return await chromium.launch({ executablePath, args: ['--no-sandbox'] })
}

/** The page has the system's colors, and the others after a click. */
export async function theme(page, colorScheme) {
  const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
  const [light, dark] = ['rgb(255, 255, 255)', 'rgb(20, 24, 29)']
  assert.equal(await background(), colorScheme === 'light' ? light : dark)
  await page.click('#theme')
  assert.equal(await background(), colorScheme === 'light' ? dark : light)
  await page.click('#theme')
}
