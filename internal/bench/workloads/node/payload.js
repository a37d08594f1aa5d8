// Takes a large event and answers as much.
exports.handler = async (event) => ({ statusCode: 200, body: event.data });
