// OLMo writes safetensors with names that are base64 of a pickled pair: a tuple of keys, and whether the value
// was pickled too (`olmo/safetensors_util.py`). The pickle of a text and `False` is always of one form.

const BEFORE = Buffer.from([0x80, 0x04, 0x95])
const TEXT = 0x8c
const AFTER = Buffer.from([0x94, 0x85, 0x94, 0x89, 0x86, 0x94, 0x2e])

/** Where the length of the text stands: after the mark, the length of the frame and the opcode. */
const AT = BEFORE.length + 8 + 1

/** The name in Python's pickle; the name itself if it is none. */
export function fromOlmoKey(key: string): string {
  const bytes = Buffer.from(key, 'base64url')
  const length = bytes[AT] ?? 0
  const end = AT + 1 + length
  const isPickle =
    bytes.subarray(0, 3).equals(BEFORE) &&
    bytes[AT - 1] === TEXT &&
    bytes.subarray(end).equals(AFTER)
  return isPickle ? bytes.toString('utf8', AT + 1, end) : key
}

/** A name as OLMo reads it. */
export function toOlmoKey(name: string): string {
  const text = Buffer.from(name)
  const rest = Buffer.concat([Buffer.from([TEXT, text.length]), text, AFTER])
  const frame = Buffer.alloc(8)
  frame.writeBigUInt64LE(BigInt(rest.length))
  const bytes = Buffer.concat([BEFORE, frame, rest])
  // Python's alphabet for addresses, which pads.
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}
