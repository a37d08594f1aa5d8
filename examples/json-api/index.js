'use strict';

// The store lives as long as the instance does, and there is one instance
// (scaling.max in cove.yaml). A real one would be a database.
const notes = new Map();
let next = 1;

class Problem extends Error {
  constructor(statusCode, message) {
    super(message);
    this.statusCode = statusCode;
  }
}

function answer(statusCode, body, headers = {}) {
  return {
    statusCode,
    headers: { 'content-type': 'application/json', ...headers },
    body: body === undefined ? '' : JSON.stringify(body),
  };
}

function note(event) {
  let body;
  try {
    body = JSON.parse(event.body ?? '');
  } catch {
    throw new Problem(400, 'the body is not JSON');
  }
  if (typeof body.text !== 'string') throw new Problem(422, 'text is missing');
  return { text: body.text, done: Boolean(body.done) };
}

function existing(id) {
  if (!notes.has(id)) throw new Problem(404, `there is no note ${id}`);
  return notes.get(id);
}

const methods = {
  GET(event, id) {
    if (id) return answer(200, existing(id));
    const { done } = event.queryStringParameters ?? {};
    const list = [...notes.values()].filter((n) => done === undefined || String(n.done) === done);
    return answer(200, { items: list, total: list.length });
  },
  POST(event, id) {
    if (id) throw new Problem(405, 'notes are made at /api/notes/');
    const made = { id: String(next++), ...note(event) };
    notes.set(made.id, made);
    return answer(201, made, { location: `/api/notes/${made.id}` });
  },
  PUT(event, id) {
    const changed = { id: existing(id).id, ...note(event) };
    notes.set(id, changed);
    return answer(200, changed);
  },
  DELETE(event, id) {
    existing(id);
    notes.delete(id);
    return answer(204);
  },
};

exports.handler = async (event) => {
  try {
    return methods[event.requestContext.http.method](event, event.pathParameters?.id);
  } catch (error) {
    if (error instanceof Problem) return answer(error.statusCode, { error: error.message });
    throw error;
  }
};
