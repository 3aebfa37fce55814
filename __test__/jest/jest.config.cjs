// Jest finds its tests here and nowhere else, and changes nothing in what it runs.
module.exports = {
  rootDir: __dirname,
  testMatch: ['**/*.test.mjs', '**/*.test.cjs'],
  moduleFileExtensions: ['mjs', 'cjs', 'js', 'json', 'node'],
  testEnvironment: 'node',
  testTimeout: 60_000,
  transform: {},
  haste: { enableSymlinks: false },
}
