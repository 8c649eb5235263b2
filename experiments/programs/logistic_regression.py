"""Bayesian logistic regression as a target: is an iris versicolor or virginica?

x holds the intercept and the weights of the four standardised measurements (D = 5), with the prior
N(0, 5^2) each; y is 1 for virginica and 0 for versicolor, 50 flowers each.

    log p~(x) = sum_i log sigmoid(s_i a_i . x) + log N(x; 0, 25 I),    s_i = 2 y_i - 1, a_i = (1, row i)
    gradient  = sum_i s_i sigmoid(-s_i a_i . x) a_i - x / 25

The prior is normalised, so log Z is the log of the evidence. `mdn` starts this file and sends points; read
docs/your_own_law.md.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "datasets" / "iris.csv"
PRIOR_STD = 5.0


def signed_rows():
    """s_i a_i: (100, 5)."""
    with open(DATA, newline="") as file:
        rows = [row for row in csv.reader(file) if row[4] in ("versicolor", "virginica")]
    x = np.array([row[:4] for row in rows], dtype=float)
    x = (x - x.mean(0)) / x.std(0)
    sign = np.array([1.0 if row[4] == "virginica" else -1.0 for row in rows])
    return sign[:, None] * np.column_stack([np.ones(len(x)), x])


ROWS = signed_rows()
DIM = ROWS.shape[1]


def log_density_and_gradient(x):
    """(n, D) -> (n,) and (n, D)."""
    margin = x @ ROWS.T
    log_p = -np.logaddexp(0.0, -margin).sum(1)
    log_p -= 0.5 * (x**2).sum(1) / PRIOR_STD**2 + DIM * np.log(PRIOR_STD * np.sqrt(2 * np.pi))
    gradient = np.exp(-np.logaddexp(0.0, margin)) @ ROWS - x / PRIOR_STD**2
    return log_p, gradient


def serve(target):
    """Answers arrays of points on stdin until they end. NumPy itself cannot read or write pipes."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while stdin.peek(1):
        np.lib.format.read_magic(stdin)
        shape, _, _ = np.lib.format.read_array_header_1_0(stdin)
        x = np.frombuffer(stdin.read(8 * shape[0] * shape[1])).reshape(shape)
        answer = io.BytesIO()
        np.save(answer, np.column_stack(target(x)))
        stdout.write(answer.getvalue())
        stdout.flush()


if __name__ == "__main__":
    serve(log_density_and_gradient)
