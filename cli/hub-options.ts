import type { Command, OptionValues } from 'commander'

import type { HubOptions } from '../src/index.js'

const GROUP = 'Hub:'

/** Adds the flags that say where the hub and the cache are. */
export function addHubOptions(command: Command): Command {
  return command
    .optionsGroup(GROUP)
    .option('--cache-dir <folder>', 'where models are stored (default: HF_HUB_CACHE)')
    .option('--endpoint <address>', 'the hub (default: HF_ENDPOINT, or https://huggingface.co)')
    .option('--offline', 'use only the cache (default: HF_HUB_OFFLINE)')
}

/** The hub's options among those a command was given. A token comes from `HF_TOKEN` alone. */
export function hubOptions({ cacheDir, endpoint, offline }: OptionValues): HubOptions {
  return { cacheDir, endpoint, offline }
}
