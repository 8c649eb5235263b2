"""Reference samples of the posterior of logistic_regression.py by Hamiltonian Monte Carlo, and log Z.

    python3 logistic_regression_samples.py

writes logistic_regression_samples.npy, (4000, 5) in float32, and prints R-hat, the share of accepted moves,
and log Z by importance sampling from a Student t law with the samples' mean and covariance.
"""

from pathlib import Path

import numpy as np
from logistic_regression import DIM, log_density_and_gradient

CHAINS, KEPT, WARM_UP, THIN = 200, 20, 500, 25
STEP, LEAPS = 0.25, 10
DRAWS, FREEDOM = 1_000_000, 8


def hmc(rng):
    """(KEPT, CHAINS, D) and the share of accepted moves. Momenta have the inverse covariance of the warm-up."""
    x = rng.normal(size=(CHAINS, DIM))
    log_p, gradient = log_density_and_gradient(x)
    factor, step = np.eye(DIM), 0.05
    kept, accepted = [], []
    for move in range(WARM_UP + KEPT * THIN):
        if move in (WARM_UP // 2, WARM_UP - 50):
            factor, step = np.linalg.cholesky(np.cov(x.T)), STEP
        momentum = rng.normal(size=x.shape)
        new, log_p_new, gradient_new = x, log_p, gradient
        energy = log_p - 0.5 * (momentum**2).sum(1)
        for _ in range(LEAPS):
            momentum = momentum + 0.5 * step * gradient_new @ factor
            new = new + step * momentum @ factor.T
            log_p_new, gradient_new = log_density_and_gradient(new)
            momentum = momentum + 0.5 * step * gradient_new @ factor
        change = log_p_new - 0.5 * (momentum**2).sum(1) - energy
        yes = np.log(rng.random(CHAINS)) < change
        x = np.where(yes[:, None], new, x)
        log_p = np.where(yes, log_p_new, log_p)
        gradient = np.where(yes[:, None], gradient_new, gradient)
        if move >= WARM_UP:
            accepted.append(yes.mean())
            if (move - WARM_UP) % THIN == THIN - 1:
                kept.append(x)
    return np.array(kept), np.mean(accepted)


def r_hat(samples):
    """The largest over the coordinates; samples (n, chains, D)."""
    n = len(samples)
    within = samples.var(0, ddof=1).mean(0)
    between = samples.mean(0).var(0, ddof=1)
    return np.sqrt((n - 1) / n + between / within).max()


def log_z(samples, rng):
    """log of the mean of p~ / t over draws of t, and its standard error."""
    factor = np.linalg.cholesky(np.cov(samples.T))
    z = rng.normal(size=(DRAWS, DIM)) / np.sqrt(rng.chisquare(FREEDOM, size=(DRAWS, 1)) / FREEDOM)
    log_w = log_density_and_gradient(samples.mean(0) + z @ factor.T)[0] - log_t(z)
    log_w += np.log(np.diag(factor)).sum()
    w = np.exp(log_w - log_w.max())
    return np.log(w.mean()) + log_w.max(), w.std() / w.mean() / np.sqrt(DRAWS)


def log_t(z):
    """The standard Student t law in D dimensions."""
    from math import lgamma, log, pi

    half = 0.5 * (FREEDOM + DIM)
    constant = lgamma(half) - lgamma(0.5 * FREEDOM) - 0.5 * DIM * log(FREEDOM * pi)
    return constant - half * np.log1p((z**2).sum(1) / FREEDOM)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    found, accepted = hmc(rng)
    samples = found.reshape(-1, DIM)
    np.save(Path(__file__).with_suffix(".npy"), samples.astype("f4"))
    value, error = log_z(samples, rng)
    print(f"{len(samples)} samples, R-hat {r_hat(found):.4f}, accepted {accepted:.2f}")
    print(f"log Z = {value:.4f} +- {error:.4f}")
