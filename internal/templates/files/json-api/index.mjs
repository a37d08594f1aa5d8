// A small REST API. The items live as long as the instance does, of which there is
// one (scaling.max in cove.yaml); a real one would keep them in a database.
const items = new Map();
let last = 0;

const json = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

const methods = {
  GET(id) {
    if (!id) return json(200, { items: [...items.values()] });
    return items.has(id) ? json(200, items.get(id)) : json(404, { error: `there is no item ${id}` });
  },
  POST(id, event) {
    const { text } = JSON.parse(event.body || "{}");
    if (typeof text !== "string") return json(400, { error: "send {\"text\": \"...\"}" });
    const item = { id: String(++last), text };
    items.set(item.id, item);
    return json(201, item);
  },
  DELETE(id) {
    return items.delete(id) ? { statusCode: 204 } : json(404, { error: `there is no item ${id}` });
  },
};

export const handler = async (event) => {
  const method = event.requestContext?.http?.method ?? "GET";
  const id = event.pathParameters?.id;
  console.log(method, id || "all items");
  return methods[method](id, event);
};
