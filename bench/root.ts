import { fileURLToPath } from 'node:url'

/** The folder of this repository; the benchmark runs in `dist/bench/`. */
export const root = fileURLToPath(new URL('../..', import.meta.url))
