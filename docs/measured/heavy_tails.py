"""Writes the data of heavy_tails.toml beside it: python3 docs/measured/heavy_tails.py (NumPy)."""

from pathlib import Path

import numpy as np


def write(name, x):
    head = ",".join(f"x{d + 1}" for d in range(x.shape[1]))
    np.savetxt(Path(__file__).with_name(name), x, delimiter=",", header=head, comments="")


# Nineteen independent Student t columns of 3 degrees: 19 x 1.7737 = 33.70 nats.
write("student.csv", np.random.default_rng(0).standard_t(3, size=(4000, 19)))

rng = np.random.default_rng(1)
n = 6000
# Four clusters of correlated Student t points of 2 degrees in the plane.
centres = np.array([[-6, 0], [6, 0], [0, 6], [0, -6]])[rng.integers(4, size=n)]
noise = rng.standard_normal((n, 2)) @ np.array([[1, 0.5], [0, 0.8]])
write("clusters.csv", centres + noise * np.sqrt(2 / rng.chisquare(2, size=n))[:, None])

# Six columns with a common random scale, and a bend.
x = rng.standard_normal((n, 6)) * np.exp(rng.standard_normal(n))[:, None]
x[:, 1] += 0.3 * x[:, 0] ** 2 / (1 + np.abs(x[:, 0]))
write("volatility.csv", x)
