"""Probabilities of small n-gram models, straight from Chen and Goodman's definitions.

    python make_kneser_ney.py > kneser_ney.json

Dictionaries and recursion, no packing and no sorting: it shares nothing with the Rust code but
the definitions. Fractions keep it exact until the end.
"""

import json
import random
from collections import defaultdict
from fractions import Fraction

EOS = 0


class Model:
    def __init__(self, documents, vocab, order):
        self.vocab, self.order = vocab, order
        highest = defaultdict(int)
        beginnings = [defaultdict(int) for _ in range(order + 1)]
        for document in documents:
            text = [EOS] + document + [EOS]
            for end in range(2, len(text) + 1):
                ngram = tuple(text[max(0, end - order) : end])
                if len(ngram) == order:
                    highest[ngram] += 1
                else:
                    beginnings[len(ngram)][ngram] += 1
        self.counts = {order: dict(highest)}
        for k in range(order - 1, 0, -1):
            before = defaultdict(set)
            for ngram in self.counts[k + 1]:
                before[ngram[1:]].add(ngram[0])
            counts = {ngram: len(tokens) for ngram, tokens in before.items()}
            assert not set(counts) & set(beginnings[k])
            self.counts[k] = counts | beginnings[k]
        self.discounts = {k: self.estimate(k) for k in self.counts}

    def estimate(self, k):
        n = [0] * 5
        for count in self.counts[k].values():
            if count <= 4:
                n[count] += 1
        if not all(n[1:4]):
            return [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
        y = Fraction(n[1], n[1] + 2 * n[2])
        found = [i - (i + 1) * y * Fraction(n[i + 1], n[i]) for i in (1, 2, 3)]
        if all(0 <= d <= i for i, d in enumerate(found, 1)):
            return found
        return [Fraction(1, 2), Fraction(1), Fraction(3, 2)]

    def probability(self, history, token):
        history = tuple(history)
        if EOS in history:
            last = len(history) - 1 - history[::-1].index(EOS)
            history = history[last:]
        return self.interpolated(history[max(0, len(history) - self.order + 1) :], token)

    def interpolated(self, history, token):
        k = len(history) + 1
        after = {n[-1]: c for n, c in self.counts[k].items() if n[:-1] == history}
        below = self.interpolated(history[1:], token) if history else Fraction(1, self.vocab)
        if not after:
            return below
        discount = lambda c: self.discounts[k][min(c, 3) - 1]
        total = sum(after.values())
        own = after[token] - discount(after[token]) if token in after else 0
        return own / Fraction(total) + sum(map(discount, after.values())) / Fraction(total) * below


def documents(rng, vocab):
    """A drunkard's walk, so that some continuations are much likelier than others."""
    for _ in range(12):
        token, document = rng.randrange(1, vocab), []
        for _ in range(rng.randrange(1, 60)):
            document.append(token)
            token = max(1, min(vocab - 2, token + rng.choice([-2, -1, -1, 1, 1, 1, 2])))
        yield document


def main():
    rng = random.Random(14)
    cases = []
    for vocab, order in [(6, 1), (6, 2), (9, 3), (12, 4), (12, 5), (7, 8)]:
        texts = list(documents(rng, vocab))
        model = Model(texts, vocab, order)
        queries = []
        for _ in range(25):
            text = [EOS] + rng.choice(texts)
            end = rng.randrange(1, len(text) + 1)
            history = text[max(0, end - 9) : end]
            if rng.random() < 0.3:
                history[rng.randrange(len(history))] = rng.randrange(vocab)
            token = rng.randrange(vocab)
            queries.append([history, token, float(model.probability(history, token))])
        total = sum(model.probability(queries[0][0], token) for token in range(vocab))
        assert total == 1, total
        cases.append(
            {
                "vocab_size": vocab,
                "order": order,
                "stream": [t for text in texts for t in text + [EOS]],
                "discounts": [[float(d) for d in model.discounts[k + 1]] for k in range(order)],
                "queries": queries,
            }
        )
    print(json.dumps({"eos": EOS, "cases": cases}).replace('{"vocab', '\n{"vocab'))


if __name__ == "__main__":
    main()
