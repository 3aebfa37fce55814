/**
 * `olmo2/finetune`: from conversations to a fine-tuned model by AllenAI's trainers.
 *
 * @packageDocumentation
 */

export { type DoctorReport, fineTuneDoctor, type PythonReport } from './doctor.js'
export {
  type FineTuneInspection,
  type InspectedExample,
  type InspectFineTuneOptions,
  inspectFineTuneData,
} from './inspect.js'
export { launchFineTune, planFineTune } from './launch.js'
export type {
  LaunchCommand,
  LaunchEvent,
  LaunchOptions,
  LaunchPlan,
  LaunchResult,
  LaunchStart,
  Trainer,
} from './launch-options.js'
export {
  type FineTuneDataFile,
  type FineTuneDataReport,
  type FineTuneDataSource,
  type FineTuneFormat,
  type FineTuneNotices,
  type FineTuneProgress,
  type FineTuneShard,
  type PrepareFineTuneOptions,
  prepareFineTuneData,
} from './prepare.js'
