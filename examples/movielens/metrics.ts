/** Predictions beside what was really given; index `i` of both is one rating. */
export interface Scored {
  readonly predicted: Float32Array;
  readonly actual: Float32Array;
}

/** The root of the mean squared error. 0 ratings have no error: NaN. */
export function rmse({ predicted, actual }: Scored): number {
  let sum = 0;
  for (let i = 0; i < actual.length; i++) sum += (predicted[i]! - actual[i]!) ** 2;
  return Math.sqrt(sum / actual.length);
}

/**
 * The area under the ROC curve of "was it rated `threshold` stars or more": the share of pairs (one that was, one that was not)
 * that the predictions put in the right order, ties counted half (Mann and Whitney, 1947). NaN where one kind is missing.
 */
export function auc({ predicted, actual }: Scored, threshold = 4): number {
  const order = Int32Array.from(predicted, (_, i) => i).sort((a, b) => predicted[a]! - predicted[b]!);
  let positives = 0;
  let rankSum = 0;
  for (let begin = 0; begin < order.length; ) {
    let end = begin + 1;
    while (end < order.length && predicted[order[end]!] === predicted[order[begin]!]) end++;
    // All members of a tie have the mean of the ranks begin + 1 to end.
    const rank = (begin + 1 + end) / 2;
    for (let i = begin; i < end; i++) {
      if (actual[order[i]!]! < threshold) continue;
      positives++;
      rankSum += rank;
    }
    begin = end;
  }
  const negatives = order.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
