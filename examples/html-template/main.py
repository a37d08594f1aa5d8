"""Renders page.html with what the query says, escaped."""

import html
import pathlib
import string

TEMPLATE = string.Template(pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    items = [item for item in query.get("items", "").split(",") if item]
    page = TEMPLATE.substitute(
        title=html.escape(query.get("title", "A page")),
        items="\n".join(f"      <li>{html.escape(item)}</li>" for item in items),
        request=html.escape(context.aws_request_id),
    )
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"},
        "cookies": ["seen=yes; HttpOnly; SameSite=Lax", "theme=light; Path=/page"],
        "body": page,
    }
