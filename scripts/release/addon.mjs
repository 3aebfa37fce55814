// Builds one addon as it is published, into target/addons/, for this machine or another.
//
//   node scripts/release/addon.mjs
//   node scripts/release/addon.mjs --target aarch64-unknown-linux-gnu --glibc 2.28     # with zig
//   node scripts/release/addon.mjs --target x86_64-unknown-linux-musl --glibc none     # with zig
//   node scripts/release/addon.mjs --target aarch64-apple-darwin --features metal
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { buildForRelease } from './build.mjs'

process.chdir(resolve(import.meta.dirname, '../..'))
const text = { type: 'string' }
const { values } = parseArgs({ options: { target: text, glibc: text, features: text } })
console.log(await buildForRelease(values))
