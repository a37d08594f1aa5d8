"""Sums up a list of numbers: work that a timer starts, not a browser."""

import statistics


def handler(event, context):
    values = event.get("values") or []
    if not values:
        raise ValueError("send the values to sum up: {\"values\": [1, 2, 3]}")
    print(f"summing up {len(values)} values")
    return {
        "count": len(values),
        "sum": sum(values),
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
    }
