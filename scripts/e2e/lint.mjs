import { execa } from 'execa'

/** Fails if publint or arethetypeswrong finds something in the tarball that npm will get. */
export async function lintPackage(tarball) {
  const run = { all: true, preferLocal: true }
  await execa('publint', [tarball, '--strict'], run)
  // Every Node that the package takes can require() ES modules, which this rule does not know.
  const options = ['--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm']
  await execa('attw', [tarball, ...options, '--no-emoji'], run)
  console.log('publint and arethetypeswrong find nothing')
}
