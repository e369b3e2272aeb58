"""Prints scikit-learn's diabetes data as CSV: the ten features as they were measured, and the progression."""

import csv
import sys

from sklearn.datasets import load_diabetes


def main() -> None:
    data = load_diabetes(scaled=False)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for patient, (features, progression) in enumerate(zip(data.data, data.target), start=1):
        writer.writerow([patient, *(repr(float(value)) for value in features), progression])


if __name__ == "__main__":
    main()
