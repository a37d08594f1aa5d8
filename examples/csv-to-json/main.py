"""Turns the CSV file in the body into JSON: typed rows, and totals of the numeric columns."""

import csv
import io
import json


def typed(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def handler(event, context):
    text = (event.get("body") or "").lstrip("\ufeff")
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    rows = [{k: typed(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text), dialect=dialect)]
    if not rows:
        return {"statusCode": 422, "body": {"error": "the file has no rows"}}
    totals = {
        name: round(sum(row[name] for row in rows), 2)
        for name in rows[0]
        if all(isinstance(row[name], (int, float)) for row in rows)
    }
    print(f"{len(rows)} rows, totals of {', '.join(totals) or 'nothing'}")
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json; charset=utf-8"},
        "body": json.dumps({"rows": rows, "count": len(rows), "totals": totals}, ensure_ascii=False),
    }
