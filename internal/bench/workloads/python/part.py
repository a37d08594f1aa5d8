"""Part NUMBER of a program of some size."""
import functools
import re

PATTERN = r"part-(\d+)"


class Record:
    """What this part works on."""

    def __init__(self, number, name, tags=()):
        self.number = number
        self.name = name
        self.tags = list(tags)

    def matches(self, text):
        return re.match(PATTERN, text) is not None

    def describe(self):
        return "%s %d (%s)" % (self.name, self.number, ", ".join(self.tags))


@functools.lru_cache(maxsize=None)
def record(number):
    return Record(number, "part", ("a", "b"))


def value():
    return record(NUMBER).number
