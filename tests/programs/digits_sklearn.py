"""Train a small network of scikit-learn on its digits and print its accuracy on a held-out third."""

import argparse
import json
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def train(lr: float, hidden: int, seed: int) -> float:
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=1 / 3, random_state=seed, stratify=labels)
    train_images, test_images, train_labels, test_labels = split
    network = MLPClassifier((hidden,), learning_rate_init=lr, max_iter=5, random_state=seed)
    network.fit(train_images, train_labels)
    return float(network.score(test_images, test_labels))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    score = train(**vars(parser.parse_args()))
    Path("score.json").write_text(json.dumps(score))
    print("val_acc:", score)
