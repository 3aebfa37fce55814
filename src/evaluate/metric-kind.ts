/**
 * What a metric's number is: a share of documents or of probability, where higher is better; a cost in
 * bits or nats, where lower is; or the logarithm of a share.
 */
export type MetricKind = 'share' | 'cost' | 'log'

/** The kind of a metric, by its name in either harness. */
export function metricKind(name: string): MetricKind {
  if (/^(?:bpb|ce_loss)(?:_v\d)?$/.test(name)) return 'cost'
  return /^soft_log(?:_v\d)?$/.test(name) ? 'log' : 'share'
}
