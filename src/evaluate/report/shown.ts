import { xml } from '../../plot/svg.js'

/**
 * Characters that show nothing, or change how others show: controls but for line ends and tabs, marks of
 * direction, and what joins and separates invisibly. For a regular expression here and on the page.
 */
export const HIDDEN =
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]'

const hidden = new RegExp(HIDDEN, 'g')

/** A text with its hidden characters written as escapes, those of JSON. */
export function withoutHidden(text: string): string {
  return text.replace(hidden, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A text in HTML as what it is: markup in it is text, and what would not be seen is. */
export function shown(text: string): string {
  return xml(withoutHidden(text))
}
