"""Makes the files of datasets/ again, from packages:

    pip install palmerpenguins==0.1.6 scikit-learn==1.9.1 numpy==2.4.6
    python scripts/datasets.py
    (cd datasets && sha256sum --check SHA256SUMS)

digits.npy is a projection, whose last bit may differ between builds of the linear algebra; its
values are rounded to 1/1000, so that it rarely shows.
"""

import importlib.resources
import pathlib

import numpy as np
from sklearn.datasets import load_digits, load_iris

OUT = pathlib.Path(__file__).parent.parent / "datasets"


def penguins():
    """The package's own file, byte for byte."""
    source = importlib.resources.files("palmerpenguins") / "data" / "penguins.csv"
    (OUT / "penguins.csv").write_bytes(source.read_bytes())


def iris():
    """Four measurements in cm and the species."""
    data = load_iris()
    lines = ["sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm,species"]
    for row, label in zip(data.data, data.target):
        lines.append(",".join(f"{v:.1f}" for v in row) + f",{data.target_names[label]}")
    (OUT / "iris.csv").write_text("\n".join(lines) + "\n", newline="\n")


def digits():
    """The eight leading principal components of 8x8 images, and the digit as the last column."""
    data = load_digits()
    x = data.data - data.data.mean(axis=0)
    _, axes = np.linalg.eigh(x.T @ x)
    axes = axes[:, ::-1][:, :8]
    # The sign of an axis is free: its largest entry is positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(8)])
    table = np.column_stack([np.round(x @ axes, 3), data.target])
    np.save(OUT / "digits.npy", table.astype("<f4"))


if __name__ == "__main__":
    penguins()
    iris()
    digits()
