"""Counts the primes below a limit with a sieve and says how long that took."""

import time


def count_primes(limit):
    if limit <= 2:
        return 0
    sieve = bytearray([1]) * limit
    sieve[0:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return sum(sieve)


def handler(event, context):
    text = event["pathParameters"]["limit"]
    if not text.isdigit() or int(text) > 50_000_000:
        return {"statusCode": 400, "body": {"error": "the limit is a number up to 50000000"}}
    began = time.perf_counter()
    count = count_primes(int(text))
    print(f"{count} primes below {text} in {time.perf_counter() - began:.2f} s")
    return {"limit": int(text), "count": count, "left_ms": context.get_remaining_time_in_millis()}
