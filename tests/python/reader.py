"""The log densities of trained runs, by docs/formulas.md alone.

    python3 tests/python/reader.py POINTS.csv RUN...

prints `log_density,part` of every point, one run after the other. Needs Python 3.11 and numpy.
x is the data side, z the base side, t the tensors, s the settings, n the number of points.
"""

import json
import math
import sys
import tomllib
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np

# Files


def read_safetensors(path):
    """8 bytes with the length of a JSON header; the header; the numbers of all tensors."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        low, high = (start + offset for offset in about["data_offsets"])
        kind = {"F32": "<f4", "F64": "<f8", "U32": "<u4"}[about["dtype"]]
        tensors[name] = np.frombuffer(data[low:high], kind).reshape(about["shape"])
        if about["dtype"] != "U32":
            tensors[name] = tensors[name].astype(float)
    return tensors


def below(t, *names):
    """The tensors whose names begin so, without this beginning."""
    start = "".join(f"{name}." for name in names)
    return {name[len(start) :]: v for name, v in t.items() if name.startswith(start)}


def member(table):
    """The only key of a table, and its settings."""
    [(name, settings)] = {table: {}}.items() if isinstance(table, str) else table.items()
    return name, settings


# Small functions


def bounded(raw, bound):
    return bound * np.tanh(raw / bound)


def softplus(v):
    return np.logaddexp(0, v)


def log_sum_exp(v):
    top = v.max(-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(v - top).sum(-1))


def log_softmax(v):
    return v - log_sum_exp(v)[..., None]


def log_normal(z):
    return -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)


def in_turn(steps, x):
    """Maps applied one after the other, and the sum of their log-dets."""
    total = np.zeros(len(x))
    for step in steps:
        x, log_det = step(x)
        total = total + log_det
    return x, total


# Networks

ACTIVATIONS = {
    "relu": lambda v: np.maximum(v, 0),
    "tanh": np.tanh,
    "silu": lambda v: v * np.exp(-softplus(-v)),
    "gelu": lambda v: 0.5 * v * (1 + np.vectorize(math.erf)(v / math.sqrt(2))),
}


def network(s, t, v):
    if v.shape[1] == 0:
        return np.repeat(t["out.bias"], len(v), 0)
    for i in range(len(s["hidden"])):
        v = ACTIVATIONS[s["activation"]](v @ t[f"{i}.weight"] + t[f"{i}.bias"])
    return v @ t["out.weight"] + t["out.bias"]


def masked_network(s, t, v, owners):
    """`network` with zeros put back in its weights; output i sees inputs 0 to owners[i]."""
    dense, before = dict(t), np.arange(v.shape[1])
    for i, width in enumerate(s["hidden"]):
        different = np.unique(before)
        after = different[[math.ceil((k + 1) * len(different) / width) - 1 for k in range(width)]]
        dense[f"{i}.weight"] = unmasked(t[f"{i}.weight"], before, after)
        before = after
    dense["out.weight"] = unmasked(t["out.weight"], before, owners)
    return network(s, dense, v)


def unmasked(weights, before, after):
    is_weight = before[:, None] <= after
    matrix = np.zeros(is_weight.shape)
    matrix[is_weight] = weights.ravel()
    return matrix


# Transformers: a conditioner's outputs and x (n, m) -> z and log dz/dx, both (n, m)


def affine(s, raw, x):
    m = x.shape[1]
    r, grow = raw[:, :m], s["log_scale_bound"]
    shrink = s.get("log_shrink_bound", grow)
    log_scale = np.where(r > 0, bounded(r, grow), bounded(r, shrink))
    return (x - raw[:, m:]) * np.exp(-log_scale), -log_scale


def spline(s, raw, x):
    (n, m), k, bound = x.shape, s["bins"], s["tail_bound"]
    raw = raw.reshape(n, m, 3 * k - 1)
    sizes = lambda raw: 2 * bound * (1e-3 + (1 - 1e-3 * k) * np.exp(log_softmax(raw)))
    widths, heights = sizes(raw[..., :k]), sizes(raw[..., k : 2 * k])
    lefts, bottoms = (np.cumsum(v, -1) - v - bound for v in (widths, heights))
    ends = np.ones((n, m, 1))
    slopes = np.concatenate([ends, 1e-3 + softplus(raw[..., 2 * k :]), ends], -1)
    inner = np.clip(x, -bound, bound)
    own = (inner[..., None] >= lefts[..., 1:]).sum(-1, keepdims=True)
    w, h, left, bottom, d, d_next = (
        np.take_along_axis(v, own, -1)[..., 0]
        for v in (widths, heights, lefts, bottoms, slopes[..., :-1], slopes[..., 1:])
    )
    r, mean = (inner - left) / w, h / w
    cross = r * (1 - r)
    divisor = mean + (d + d_next - 2 * mean) * cross
    z = bottom + h * (mean * r**2 + d * cross) / divisor
    slope = mean**2 * (d_next * r**2 + 2 * mean * cross + d * (1 - r) ** 2) / divisor**2
    is_inside = np.abs(x) <= bound
    return np.where(is_inside, z, x), np.where(is_inside, np.log(slope), 0)


# Bijections: x -> z and log|det dz/dx| (n,)


def halves(dim, layer):
    """The coordinates that a coupling keeps, and those that it moves."""
    first, second = np.arange(dim // 2), np.arange(dim // 2, dim)
    return (first, second) if layer % 2 == 0 or dim == 1 else (second, first)


def coupling(transformer, s, t, layer, x):
    kept, moved = halves(x.shape[1], layer)
    z = x.copy()
    z[:, moved], log_slope = transformer(s, network(s, t, x[:, kept]), x[:, moved])
    return z, log_slope.sum(1)


def couplings(transformer, s, t, x):
    steps = []
    for layer in reversed(range(s["layers"])):
        steps.append(partial(coupling, transformer, s, below(t, layer), layer))
        if layer > 0 and s["mixing"] == "linear":
            steps.append(partial(linear, s, below(t, layer, "mixing")))
    return in_turn(steps, x)


def autoregressive_layer(transformer, s, t, x):
    dim = x.shape[1]
    order = t.get("order", np.arange(dim))
    y, z = x[:, order], x.copy()
    z[:, order[:1]], first = transformer(s, network(s, below(t, "first"), y[:, :0]), y[:, :1])
    if dim == 1:
        return z, first.sum(1)
    each = np.arange(dim - 1)
    owners = np.tile(each, 2) if transformer is affine else np.repeat(each, 3 * s["bins"] - 1)
    raw = masked_network(s, below(t, "rest"), y[:, :-1], owners)
    z[:, order[1:]], others = transformer(s, raw, y[:, 1:])
    return z, first.sum(1) + others.sum(1)


def autoregressive(transformer, s, t, x):
    layers = reversed(range(s["layers"]))
    return in_turn([partial(autoregressive_layer, transformer, s, below(t, l)) for l in layers], x)


def elementwise(s, t, x):
    return (x - t["shift"]) * np.exp(-t["log_scale"]), -t["log_scale"].sum()


def linear(s, t, x):
    lower = np.tril(t["lower"], -1) + np.eye(x.shape[1])
    upper = np.triu(t["upper"], 1) + np.diag(np.exp(t["log_diagonal"][0]))
    return x @ (lower @ upper).T, t["log_diagonal"].sum()


def soft_tails(s, t, x):
    bound = s["threshold"]
    log = np.log1p(np.maximum(np.abs(x) - bound, 0))
    return np.where(np.abs(x) > bound, np.sign(x) * (bound + log), x), -log.sum(1)


def permutation(s, t, x):
    z = np.empty_like(x)
    z[:, t["order"]] = x
    return z, 0


def planar_layer(w, u, b, x):
    slope = max(softplus(w @ u), 1e-6)
    u_hat = u + (slope - 1 - w @ u) * w / (w @ w)
    # The left side of a + (slope - 1) tanh a = w.x + b rises with a: its root by bisection.
    target, reach = x @ w + b, abs(slope - 1)
    low, high = target - reach, target + reach
    for _ in range(100):
        a = (low + high) / 2
        is_above = a + (slope - 1) * np.tanh(a) > target
        low, high = np.where(is_above, low, a), np.where(is_above, a, high)
    tanh = np.tanh(a)
    return x - tanh[:, None] * u_hat, -np.log(tanh**2 + (1 - tanh**2) * slope)


def planar(s, t, x):
    layers = reversed(list(zip(t["w"], t["u"], t["b"])))
    return in_turn([partial(planar_layer, *layer) for layer in layers], x)


def radial_layer(centre, alpha, beta, x):
    a, b = (max(softplus(raw[0]), 1e-6) for raw in (alpha, beta))
    rho = np.sqrt(((x - centre) ** 2).sum(1))
    root = np.hypot(rho - b, 2 * np.sqrt(a * rho))
    r = np.where(rho > b, (rho - b + root) / 2, 2 * a * rho / (b - rho + root))
    across = (x.shape[1] - 1) * np.log((r + b) / (r + a))
    along = np.log((r**2 + a * (2 * r + b)) / (r + a) ** 2)
    return x - ((b - a) / (b + r))[:, None] * (x - centre), -across - along


def radial(s, t, x):
    layers = reversed(list(zip(t["centre"], t["alpha"], t["beta"])))
    return in_turn([partial(radial_layer, *layer) for layer in layers], x)


def chain(s, t, x):
    members = reversed(list(enumerate(s)))
    return in_turn([partial(bijection, spec, below(t, i)) for i, spec in members], x)


BIJECTIONS = {
    "affine_coupling": partial(couplings, affine),
    "spline_coupling": partial(couplings, spline),
    "masked_autoregressive": partial(autoregressive, affine),
    "masked_autoregressive_spline": partial(autoregressive, spline),
    "elementwise": elementwise,
    "linear": linear,
    "permutation": permutation,
    "soft_tails": soft_tails,
    "planar": planar,
    "radial": radial,
    "chain": chain,
}


def bijection(spec, t, x):
    name, settings = member(spec)
    return BIJECTIONS[name](settings, t, x)


# Bases: z -> ln p (n,), and the part of every point or None


def normal(s, t, z):
    return log_normal(z), None


def mixture(s, t, z):
    scaled = (z[:, None, :] - t["means"]) * np.exp(-t["log_stds"])
    joint = log_softmax(t["logits"]) + log_normal(scaled) - t["log_stds"].sum(1)
    return log_sum_exp(joint), joint.argmax(1)


def resampled(s, t, z):
    log_a = lambda v: -softplus(-network(s, below(t, "acceptance"), v)[:, 0])
    nodes, weights = quadrature(z.shape[1])
    mass = np.clip(weights @ np.exp(log_a(nodes)), 1e-6, 1 - 1e-6)
    alpha = (1 - mass) ** (s["truncation"] - 1)
    return log_normal(z) + np.log((1 - alpha) * np.exp(log_a(z)) / mass + alpha), None


def student_t(s, t, z):
    n = np.exp(np.clip(t["log_degrees"], math.log(0.5), math.log(1e4)))
    log_gamma = np.vectorize(math.lgamma)
    constant = log_gamma((n + 1) / 2) - log_gamma(n / 2) - np.log(math.pi * n) / 2
    return (constant - (n + 1) / 2 * np.log1p(z**2 / n)).sum(1), None


def quadrature(dim):
    """Nodes and weights for means under N(0, I)."""
    if dim > 2:
        golden = 2.0
        for _ in range(100):
            golden = (1 + golden) ** (1 / (dim + 1))
        u = (0.5 + np.arange(1, 65537)[:, None] * golden ** -np.arange(1.0, dim + 1)) % 1
        return np.vectorize(NormalDist().inv_cdf)(u), np.full(65536, 1 / 65536)
    line = np.linspace(-8, 8, 4097 if dim == 1 else 257)
    nodes = np.stack(np.meshgrid(*[line] * dim), -1).reshape(-1, dim)
    weights = np.exp(log_normal(nodes))
    return nodes, weights / weights.sum()


BASES = {"normal": normal, "mixture": mixture, "resampled": resampled, "student_t": student_t}


def base(spec, t, z):
    name, settings = member(spec)
    return BASES[name](settings, t, z)


# Models: x -> ln q (n,), and the part of every point or None


def flow(s, t, x):
    steps = [partial(bijection, s["bijection"], below(t, "bijection"))]
    if s["standardise"]:
        steps.insert(0, partial(elementwise, s, below(t, "standardise")))
    z, log_det = in_turn(steps, x)
    log_p, part = base(s["base"], below(t, "base"), z)
    return log_p + log_det, part


def fold(s, t, layer, codes, x):
    """z and lambda; adds the part of every fold to the codes."""
    kept, moved = halves(x.shape[1], layer)
    c, folds = x[:, kept], len(moved)
    raw = network(s, below(t, "conditioner"), c)
    m, b, a1, a3, g, d, *h = (raw[:, i : i + folds] for i in range(0, raw.shape[1], folds))
    b, a1, a3 = bounded(b, 4), bounded(a1, 2), bounded(a3, 2)
    g = b + np.log(1 + np.exp(-a1) + np.exp(-a3)) + bounded(g, 3)

    def log_parts(place):
        """ln p(part | place) of left, middle and right: (n, folds, 3)."""
        h1, h3 = h or np.zeros((2, *place.shape))
        if s["gates"] == "net":
            inputs = (np.column_stack([c, 2 * place[:, j] - 1]) for j in range(folds))
            out = [network(s, below(t, "gate", j), v) for j, v in enumerate(inputs)]
            h1, h3 = np.stack(out, 1).transpose(2, 0, 1)
        left, right = (1 - place) * bounded(h1, 3) - a1, place * bounded(h3, 3) - a3
        return log_softmax(np.stack([left, 0 * left, right], -1))

    far1, far3 = a1 + log_parts(0 * m)[..., 0], a3 + log_parts(0 * m + 1)[..., 2]
    u = (x[:, moved] - m) * np.exp(-b)
    u1, u3 = -1 - 2 * np.exp(-a1), 1 + 2 * np.exp(-a3)
    left, right = 1 + np.exp(a1) * (u + 1), -1 + np.exp(a3) * (u - 1)
    far_left, far_right = -1 + np.exp(far1) * (u - u1), 1 + np.exp(far3) * (u - u3)
    where = [u < u1, u < -1, u <= 1, u <= u3]
    v = np.select(where, [far_left, left, -u, right], far_right)
    inside = log_parts(np.clip((v + 1) / 2, 0, 1))
    own = [far1, a1 + inside[..., 0], inside[..., 1], a3 + inside[..., 2]]
    z = x.copy()
    z[:, moved] = v * np.exp(g) + d
    codes.extend(np.select([u < -1, u <= 1], [0, 1], 2).T)
    return z, (np.select(where, own, far3) - b + g).sum(1)


def rad(s, t, x):
    steps, codes = [], []
    if s["standardise"]:
        steps.append(partial(elementwise, s, below(t, "standardise")))
    for layer in range(s["layers"]):
        steps.append(partial(fold, s, below(t, layer, "fold"), layer, codes))
        for i, kind in enumerate(s["interleave"] if layer + 1 < s["layers"] else []):
            between = below(t, layer, "between", i)
            steps += {
                "linear": [partial(linear, s, between)],
                "affine_coupling": [
                    partial(coupling, affine, s | {"log_scale_bound": 3}, below(between, l), l)
                    for l in (layer + 1, layer)
                ],
            }[kind]
    z, total = in_turn(steps, x)
    code = sum(part * 3**i for i, part in enumerate(reversed(codes)))
    return base(s["base"], below(t, "base"), z)[0] + total, code


def clusters(s, t, x):
    own = {"standardise": True, "bijection": s["bijection"], "base": "normal"}
    weights = log_softmax(t["logits"][0])
    joint = np.stack([w + flow(own, below(t, k), x)[0] for k, w in enumerate(weights)], 1)
    return log_sum_exp(joint), joint.argmax(1)


def gaussian_mixture(s, t, x):
    joint = []
    for mean, factor in zip(t["means"], t["scale_tril"]):
        scaled = np.linalg.solve(factor, (x - mean).T).T
        joint.append(log_normal(scaled) - np.log(np.diag(factor)).sum())
    joint = log_softmax(t["log_weights"]) + np.stack(joint, 1)
    return log_sum_exp(joint), joint.argmax(1)


def kernel_density(s, t, x):
    widths = t["bandwidth"][0] * t["scale"][0]
    each = log_normal((x[:, None, :] - t["points"]) / widths) - np.log(widths).sum()
    return log_sum_exp(each) - math.log(len(t["points"])), None


MODELS = {
    "flow": flow,
    "rad": rad,
    "clusters": clusters,
    "gaussian_mixture": gaussian_mixture,
    "kernel_density": kernel_density,
}

# Supports: x -> y in R^D and log|det dy/dx|; y is not finite outside


def box(s, x):
    low, high = np.log(x - np.array(s["low"])), np.log(np.array(s["high"]) - x)
    return low - high, (np.log(np.exp(low) + np.exp(high)) - low - high).sum(1)


def positive(s, x):
    return np.log(x), -np.log(x).sum(1)


def simplex(s, x):
    last = np.log(1 - x.sum(1))
    return np.log(x) - last[:, None], -np.log(x).sum(1) - last


SUPPORTS = {"box": box, "positive": positive, "simplex": simplex}


def density(run, points):
    """ln q of points (n, D), and their parts or None."""
    path = run / "trained.toml" if (run / "trained.toml").exists() else run / "config.toml"
    config = tomllib.loads(path.read_text())
    # The program stores points in the run's format.
    x = points.astype(config["train"]["precision"].replace("f", "float")).astype(float)
    is_inside, log_det = np.full(len(x), True), 0
    [problem] = [member(p)[1] for p in config.get("problems", {}).values()] or [{}]
    if "support" in problem:
        name, settings = member(problem["support"])
        with np.errstate(invalid="ignore", divide="ignore"):
            x, log_det = SUPPORTS[name](settings, x)
        is_inside = np.isfinite(x).all(1)
        x = np.where(is_inside[:, None], x, 0)
    [model] = config["models"].values()
    name, settings = member(model)
    log_q, part = MODELS[name](settings, read_safetensors(run / "model.safetensors"), x)
    return np.where(is_inside, log_q + log_det, -np.inf), part


if __name__ == "__main__":
    points = np.loadtxt(sys.argv[1], delimiter=",", ndmin=2)
    for run in sys.argv[2:]:
        log_q, part = density(Path(run), points)
        for i, value in enumerate(log_q.tolist()):
            print(f"{value!r},{'' if part is None else part[i]}")
