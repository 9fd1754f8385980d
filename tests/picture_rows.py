"""Rows of finished runs on pictures, made up, and the plan of a dry run, read."""

import re

import pandas as pd


def runs_of(errors, *, network="PreAct ResNet-18", family="preact_resnet18", **columns):
    """Make rows of finished runs: ``errors[alpha, max_epochs]`` has one for each seed."""
    rows = [
        {
            "data": "cifar10",
            "data_name": "CIFAR-10 subset",
            "network": network,
            "family": family,
            "alpha": alpha,
            "max_epochs": max_epochs,
            "seed": seed,
            "test_error": error,
            "test_error_median": error + 0.01,
            "test_top5_error": error / 10,
            "test_top5_error_median": error / 10,
            "test_curve": str([0.9] + [error] * (max_epochs - 1)),
            "loss_curve": str([2.3] + [error] * (max_epochs - 1)),
            "n_train": 10_000,
            "fit_time_s": 30.0,
            "test_time_s": 0.0,
            **columns,
        }
        for (alpha, max_epochs), by_seed in errors.items()
        for seed, error in enumerate(by_seed)
    ]
    return pd.DataFrame(rows)


def read_plan(text):
    """Read the table of a dry run: a list of fields for each line between rules."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    lines = [line for line in lines if len(line) == 10 and not line[0].startswith("-")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
