'use strict';

const fs = require('node:fs');
const path = require('node:path');
const mustache = require('mustache');

const template = fs.readFileSync(path.join(__dirname, '../templates/invoice.html'), 'utf8');
mustache.parse(template);

const money = (cents) => (cents / 100).toFixed(2);

exports.handler = async (event) => {
  const { customer, items = [] } = JSON.parse(event.body ?? '{}');
  if (!customer || items.length === 0) {
    return { statusCode: 422, body: { error: 'an invoice has a customer and items' } };
  }
  const view = {
    customer,
    items: items.map((i) => ({ ...i, sum: money(i.pieces * i.cents) })),
    total: money(items.reduce((sum, i) => sum + i.pieces * i.cents, 0)),
  };
  return {
    statusCode: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: mustache.render(template, view),
  };
};
