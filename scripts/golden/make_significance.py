"""Ask scipy and statsmodels whether differences between two models may be chance.

McNemar's test and Holm's correction have one right answer. The bootstrap draws by chance, so its
interval is recorded from many more samples than the library draws, and compared within what is left.
"""

import numpy as np
import scipy
import statsmodels
from common import out_dir, write_json
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

RESAMPLES = 100_000


def versions():
    return {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__}


def mcnemar_cases():
    pairs = [(0, 0), (1, 0), (0, 6), (3, 3), (10, 3), (25, 41), (100, 140), (1000, 1100), (3000, 2800)]
    for a, b in pairs:
        p = mcnemar([[50, a], [b, 50]], exact=True).pvalue if a + b > 0 else 1.0
        yield {"onlyA": a, "onlyB": b, "p": float(p)}


def samples():
    rng = np.random.default_rng(11)
    right = lambda part, n: (rng.random(n) < part).astype(float)
    yield "right or wrong, alike", right(0.5, 100), right(0.52, 100)
    yield "right or wrong, apart", right(0.3, 150), right(0.6, 150)
    yield "bits per byte", 1 + rng.random(80), 1.1 + rng.random(80)
    yield "few", right(0.4, 12), right(0.8, 12)
    yield "heavy tail", rng.standard_t(2, 120), rng.standard_t(2, 120) + 0.3


def bootstrap_cases():
    for name, a, b in samples():
        a, b = a.round(6), b.round(6)
        difference = b - a
        drawn = bootstrap(
            (difference,), np.mean, n_resamples=RESAMPLES, method="percentile",
            confidence_level=0.95, rng=np.random.default_rng(5), batch=1000,
        )
        means = drawn.bootstrap_distribution
        low, high = drawn.confidence_interval
        # Sums of rounded values meet 0 but for what adding up loses.
        tail = min((means <= 1e-12).mean(), (means >= -1e-12).mean())
        yield {
            "name": name, "a": a.tolist(), "b": b.tolist(), "difference": float(difference.mean()),
            "low": float(low), "high": float(high), "deviation": float(means.std()),
            "p": float(min(1, 2 * tail)),
        }


def holm_cases():
    rng = np.random.default_rng(3)
    for p in ([0.04], [0.01, 0.02, 0.03], [0.03, 0.01, 0.04, 0.2], [1.0, 1.0], (rng.random(12) ** 3).round(6).tolist()):
        yield {"p": p, "corrected": multipletests(p, method="holm")[1].tolist()}


if __name__ == "__main__":
    out = out_dir(__doc__)
    golden = {
        "versions": versions(),
        "mcnemar": list(mcnemar_cases()),
        "bootstrap": list(bootstrap_cases()),
        "holm": list(holm_cases()),
    }
    write_json(out / "significance.json", golden)
